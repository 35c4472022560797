//! Amazon SES: what we want there, what stands there, the difference as data, and its application.
//!
//! Everything but [`aws`] is free of the AWS SDK; everything but [`aws`], [`apply`], [`read`], [`inventory`] and the
//! wrappers in [`budget`] is pure.

pub mod address;
pub mod apply;
pub mod arn;
pub mod aws;
pub mod breakable;
pub mod budget;
pub mod call;
pub mod client;
pub mod desired;
pub mod error;
pub mod inventory;
pub mod memory;
pub mod name;
pub mod observed;
pub mod plan;
pub mod read;
pub mod tags;

#[cfg(test)]
pub(crate) mod test_support;
