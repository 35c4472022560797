//! The SES API on loopback: what an application's SDK talks to, with its endpoint set to the sidecar.

pub mod answer;
mod app;
pub mod bulk;
mod limits;
mod server;
pub mod v1;
pub mod v2;

pub use self::{
    limits::Limits,
    server::{Audience, Running, serve},
};
