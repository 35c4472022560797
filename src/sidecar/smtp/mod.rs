//! SMTP submission.
mod desk;
mod endings;
mod limits;
mod memory;
mod reply;
pub use desk::{Desk, Submitted};
pub use endings::{Endings, fixed_line_endings};
pub use limits::{Limits, MESSAGE_MAX, OUR_HEADERS_MAX};
pub use memory::Memory;
pub use reply::Reply;
