//! What the operator knows of a namespace's pods when it grants.

use super::{Allotment, Farewell, Report};

/// A pod of the namespace, as the API server has it.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its UID.
    pub uid: String,
    /// Its annotation, where it can be read.
    pub annotated: Option<Allotment>,
    /// What is heard of its sidecar.
    pub word: Word,
}

/// What is heard of a sidecar.
#[derive(Clone, Debug)]
pub enum Word {
    /// Its answer, asked for since the last grant. Answers of one sidecar are in the order of its questions.
    Report(Report),
    /// Nothing: it does not answer, or has not started.
    Silence,
    /// The pod has ended, with this of its sidecar's last run.
    Farewell(Farewell),
    /// The pod has ended, with nothing that can be read.
    Ended,
}
