//! Holds: mail is stopped until a person resolves it.

/// An open hold on a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The hold's name.
    pub name: String,
    /// The policy that is held.
    pub policy: String,
}
