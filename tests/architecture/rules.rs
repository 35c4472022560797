//! The arrows: which module may name which. Whoever adds a module adds its line here.

use std::fmt;

use crate::paths::{Named, paths};

/// A module and the modules of ours that it may name. One that is not listed may not exist.
const ARROWS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("policy", &["api"]),
    ("ses", &["api", "policy", "clock", "metrics"]),
    ("controller", &["api", "policy", "ses", "clock", "metrics"]),
    ("feedback", &["api", "policy", "clock", "metrics"]),
    ("sidecar", &["api", "policy", "clock", "metrics"]),
    ("cli", &["api", "policy", "ses", "controller", "clock", "metrics"]),
    // It stands in for AWS: were it to share our types, it would share our misunderstandings.
    ("simulator", &[]),
    ("clock", &[]),
    ("metrics", &[]),
    // How a process ends: for the binaries.
    ("signals", &[]),
];

/// These decide and do nothing: time, randomness and what a server says come in as arguments.
const PURE: &[&str] = &["api", "policy"];

/// What a pure module may not name, and why. A longer path is meant too.
const IMPURE: &[(&str, &str)] = &[
    ("kube", "a Kubernetes client"),
    ("kube_client", "a Kubernetes client"),
    ("kube_runtime", "a Kubernetes client"),
    ("tokio", "a runtime"),
    ("tokio_util", "a runtime"),
    ("axum", "a server"),
    ("reqwest", "a client"),
    ("hyper", "a transport"),
    ("rand", "randomness"),
    ("std::env", "the environment"),
    ("std::fs", "files"),
    ("std::process", "processes"),
    ("std::thread", "threads"),
    ("std::net::TcpListener", "the network"),
    ("std::net::TcpStream", "the network"),
    ("std::net::UdpSocket", "the network"),
    ("std::time::Instant", "a clock"),
    ("std::time::SystemTime", "a clock"),
];

/// The parts of kube that are types and derives only.
const PURE_KUBE: &[&str] = &[
    "kube::CELSchema",
    "kube::CustomResource",
    "kube::CustomResourceExt",
    "kube::KubeSchema",
    "kube::Resource",
    "kube::ResourceExt",
    "kube::core",
];

/// The modules that know AWS's crates: the SDK in the operator; signatures and credentials in the sidecar.
const AWS_MODULES: &[&str] = &["ses/aws/", "sidecar/relay/"];

/// Something that a file may not name.
#[derive(Debug)]
pub(crate) struct Violation {
    file: String,
    line: usize,
    path: String,
    why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, path, why } = self;
        write!(formatter, "src/{file}:{line} names {path}: {why}")
    }
}

/// What the file, named as it is below `src/`, may not name but does.
pub(crate) fn violations(file: &str, source: &str) -> Result<Vec<Violation>, String> {
    let module = module_of(file);
    let named = paths(source, &module).map_err(|error| format!("src/{file}: {error}"))?;
    let violation = |Named { segments, line }| {
        let path = segments.join("::");
        let why = why_not(file, &module, &segments, &path)?;
        Some(Violation {
            file: file.to_owned(),
            line,
            path,
            why,
        })
    };
    Ok(named.into_iter().filter_map(violation).collect())
}

/// Tests may read golden files and look into other modules.
pub(crate) fn is_test(file: &str) -> bool {
    let is_support = |part: &str| matches!(part, "tests" | "test_support" | "test_support.rs");
    file.split('/').any(is_support) || file.ends_with("tests.rs")
}

/// `policy/meet.rs` is `policy::meet`, `policy/mod.rs` is `policy`; the crate's root and the binaries are in no module.
fn module_of(file: &str) -> Vec<&str> {
    if file == "lib.rs" || file.starts_with("bin/") {
        return Vec::new();
    }
    let mut module: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    if module.last() == Some(&"mod") {
        module.pop();
    }
    module
}

fn why_not(file: &str, module: &[&str], segments: &[String], path: &str) -> Option<String> {
    let first = segments.first()?;
    if first.starts_with("aws_") && !AWS_MODULES.iter().any(|module| file.starts_with(module)) {
        return Some(format!("only {} know AWS's crates", AWS_MODULES.join(" and ")));
    }
    let top = module.first()?;
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == top) else {
        return Some(format!("module {top} has no line in tests/architecture/rules.rs"));
    };
    if first == "crate" {
        let target = segments.get(1).map_or("the crate's root", String::as_str);
        let may = target == *top || allowed.contains(&target);
        return (!may).then(|| format!("{top} may name of ours: {allowed:?}"));
    }
    if PURE.contains(top) {
        impurity(segments, path).map(|what| format!("{top} is pure, this is {what}"))
    } else {
        None
    }
}

fn impurity(segments: &[String], path: &str) -> Option<&'static str> {
    if PURE_KUBE.iter().any(|pure| is_or_is_below(path, pure)) {
        return None;
    }
    if segments.last().is_some_and(|last| last == "now") {
        return Some("a clock");
    }
    let everything_of = path.strip_suffix("::*");
    let hit = IMPURE.iter().find(|(impure, _)| {
        is_or_is_below(path, impure) || everything_of.is_some_and(|parent| is_or_is_below(impure, parent))
    });
    hit.map(|(_, what)| *what)
}

fn is_or_is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}
