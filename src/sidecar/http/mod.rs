//! The SES API on loopback: what an application's SDK talks to, with its endpoint set to the sidecar.

mod answer;
mod app;
mod bulk;
mod limits;
mod server;
mod v1;
mod v2;

pub use self::{
    limits::Limits,
    server::{Audience, Running, serve},
};
