//! The controllers.
pub mod lease; pub mod queue;
