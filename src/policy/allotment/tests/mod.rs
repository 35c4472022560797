//! What allotments promise.

mod fleet;
mod grants;
mod shares;
mod simulation;
mod world;
