use super::design;
use crate::shape::Shape;

/// Why there is no such backbone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackboneError {
    /// Nothing has this name.
    #[error("no backbone is called `{name}`")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The most similar known name.
        suggestion: Option<String>,
    },
    /// The family exists, and not with these numbers.
    #[error("no backbone is called `{name}`: {rule}")]
    NoSuchSize {
        /// The name asked for.
        name: String,
        /// Which numbers the family has.
        rule: &'static str,
        /// The member of the family whose numbers are nearest.
        nearest: String,
    },
    /// The maps would shrink to nothing.
    #[error("`{name}` cannot take an input of {input}: its sides must be at least {least}")]
    InputTooSmall {
        /// The backbone.
        name: String,
        /// The input asked for.
        input: Shape,
        /// The least side it can take.
        least: usize,
    },
}

impl BackboneError {
    /// What to try instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { suggestion: Some(suggestion), .. } | Self::NoSuchSize { nearest: suggestion, .. } => {
                format!("did you mean `{suggestion}`?")
            }
            Self::Unknown { suggestion: None, .. } => format!("known backbones: {}", design::FORMS.join(", ")),
            Self::InputTooSmall { least, .. } => format!("choose a dataset with images of at least {least}x{least}"),
        }
    }
}
