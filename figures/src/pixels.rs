//! Figures in pixels.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

/// The font that is embedded, so that a figure looks the same on every machine.
static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
});

/// The most pixels of a picture, which take four bytes each.
const MOST_PIXELS: f64 = 100e6;

/// Why a figure did not become pixels.
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// It is no drawing.
    #[error("the drawing cannot be read")]
    Unreadable(#[source] resvg::usvg::Error),
    /// It would have no pixels, or too many.
    #[error("a picture of {width} x {height} pixels is empty or larger than 100 million pixels")]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// The pixels could not be written as PNG.
    #[error("the pixels cannot be written: {0}")]
    Encoding(String),
}

/// A figure's drawing as PNG, so many pixels wide. [`crate::Theme::Auto`] becomes light.
///
/// Letters are those of `DejaVu Sans`; characters that it lacks are left out.
///
/// # Errors
/// Where `svg` is none, or the picture would be empty or too large.
pub fn png(svg: &str, width_pixels: u32) -> Result<Vec<u8>, PngError> {
    let options = Options { font_family: "DejaVu Sans".to_owned(), fontdb: Arc::clone(&FONTS), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(PngError::Unreadable)?;
    let scale = f64::from(width_pixels) / f64::from(tree.size().width());
    let height = (f64::from(tree.size().height()) * scale).round();
    let size = PngError::Size { width: width_pixels, height: height as u32 };
    if f64::from(width_pixels) * height > MOST_PIXELS {
        return Err(size);
    }
    let mut pixels = Pixmap::new(width_pixels, height as u32).ok_or(size)?;
    // Stretched to whole pixels, by less than one, so that the last row is no half-covered one.
    let down = height / f64::from(tree.size().height());
    resvg::render(&tree, Transform::from_scale(scale as f32, down as f32), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| PngError::Encoding(error.to_string()))
}
