//! What stands beside an application and judges every message before it is sent.

pub mod smtp;
