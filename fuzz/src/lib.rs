//! What several fuzz targets hold true. Each function panics where it does not hold.

pub mod message;
pub mod submission;
