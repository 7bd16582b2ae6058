//! The shape of one sample's feature map.

/// A feature map's shape, without the batch dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Channels; features, once the map is pooled to 1x1.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// A shape from its three sizes.
    pub const fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width }
    }

    /// Positions of the map: height times width.
    pub const fn positions(self) -> usize {
        self.height * self.width
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_read_channels_first() {
        let shape = Shape::new(3, 32, 24);
        assert_eq!(shape.to_string(), "3x32x24");
        assert_eq!(shape.positions(), 768);
    }
}
