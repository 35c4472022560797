//! The modules keep to their arrows: `api ← policy ← ses ← controller`, `policy ← sidecar`, `feedback → policy`; the
//! simulator stands alone, two folders know AWS's crates, and what is pure stays so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/rules.rs"]
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use rules::violations;

#[test]
fn every_module_keeps_to_its_arrows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.contains(&root.join("lib.rs")), "read the wrong folder: {files:?}");

    let mut found = Vec::new();
    for path in &files {
        let file = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        if !rules::is_test(&file) {
            let source = fs::read_to_string(path).unwrap();
            found.extend(violations(&file, &source).unwrap().iter().map(ToString::to_string));
        }
    }
    assert!(found.is_empty(), "against the arrows:\n{}", found.join("\n"));
}

#[track_caller]
fn refused(file: &str, source: &str, expected: &str) {
    let found: Vec<String> = violations(file, source)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(found.len(), 1, "{source}: {found:?}");
    assert!(found[0].contains(expected), "{source}: {found:?}");
}

#[track_caller]
fn accepted(file: &str, source: &str) {
    let found: Vec<String> = violations(file, source)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(found.is_empty(), "{source}: {found:?}");
}

#[test]
fn an_arrow_against_the_order_is_refused_wherever_it_hides() {
    let expected = "names crate::ses";
    refused("policy/meet.rs", "use crate::ses::Plan;", expected);
    refused("policy/meet.rs", "use crate::{api::Rate, ses::{self as s}};", expected);
    refused("policy/meet.rs", "pub use crate::ses;", expected);
    refused("policy/meet.rs", "use super::super::ses::Plan;", expected);
    refused("policy/mod.rs", "use super::ses::Plan;", expected);
    refused(
        "policy/meet.rs",
        "mod inner { use super::super::super::ses::Plan; }",
        expected,
    );
    refused("policy/meet.rs", "fn f(plan: &crate::ses::Plan) {}", expected);
    refused(
        "policy/meet.rs",
        "fn f() { select! { _ = crate::ses::apply() => {} } }",
        expected,
    );
    refused("api/mod.rs", "use crate::policy::Meet;", "api may name of ours: []");
    refused(
        "ses/plan.rs",
        "use crate::controller::Context;",
        "names crate::controller",
    );
    refused("sidecar/gate.rs", "use crate::ses::Plan;", expected);
    refused("simulator/state.rs", "use crate::api::Domain;", "names crate::api");
}

#[test]
fn the_message_says_where() {
    refused(
        "policy/meet.rs",
        "//! Words.\n\nuse crate::ses::Plan;\n",
        "src/policy/meet.rs:3 names crate::ses::Plan: ",
    );
}

#[test]
fn an_arrow_along_the_order_is_accepted() {
    accepted(
        "policy/meet.rs",
        "use crate::api::{Rate, domain::Domain}; use super::limits; use self::inner::X;",
    );
    accepted(
        "controller/policy.rs",
        "use crate::{api::MailPolicy, policy::compile, ses::plan}; use tokio::time;",
    );
    accepted("sidecar/gate.rs", "use crate::policy::decide;");
    accepted("simulator/state.rs", "use super::api; use crate::simulator::clock;");
    accepted("bin/mail-policy-operator.rs", "use mail_policy_operator::controller;");
}

#[test]
fn everything_of_the_crate_at_once_is_refused() {
    refused("policy/meet.rs", "use crate::*;", "names crate::*");
    refused("policy/meet.rs", "use crate as root;", "names crate");
}

#[test]
fn visibility_is_no_arrow() {
    accepted("policy/meet.rs", "pub(crate) fn f() {} pub(in crate::policy) fn g() {}");
}

#[test]
fn a_module_without_a_line_is_refused() {
    refused(
        "helpers.rs",
        "use std::fmt;",
        "module helpers has no line in tests/architecture/rules.rs",
    );
}

#[test]
fn the_sdk_is_known_to_one_module() {
    accepted("ses/aws/mod.rs", "use aws_sdk_sesv2::Client;");
    refused(
        "ses/apply.rs",
        "use aws_sdk_sesv2::Client;",
        "only ses/aws/ and sidecar/relay/ know AWS's crates",
    );
    refused(
        "bin/mail-policy-operator.rs",
        "fn f() { aws_config::load(); }",
        "only ses/aws/ and sidecar/relay/ know AWS's crates",
    );
    refused(
        "ses/apply.rs",
        "use aws_sdk_sesv2 as sdk;",
        "only ses/aws/ and sidecar/relay/ know AWS's crates",
    );
}

#[test]
fn a_pure_module_names_no_client_clock_or_environment() {
    refused(
        "policy/meet.rs",
        "use kube::Client;",
        "policy is pure, this is a Kubernetes client",
    );
    refused(
        "policy/meet.rs",
        "use kube::{Resource, api::Api};",
        "names kube::api::Api",
    );
    refused("api/mod.rs", "use tokio::time::sleep;", "a runtime");
    refused("api/mod.rs", "fn f() { std::env::var(\"X\"); }", "the environment");
    refused("policy/meet.rs", "use std::{collections::BTreeMap, fs};", "files");
    refused("policy/meet.rs", "use std::time::*;", "a clock");
    refused(
        "policy/meet.rs",
        "fn f() { std::time::SystemTime::UNIX_EPOCH; }",
        "a clock",
    );
    refused(
        "policy/meet.rs",
        "use jiff::Timestamp; fn f() { Timestamp::now(); }",
        "names jiff::Timestamp::now",
    );
    refused(
        "policy/meet.rs",
        "use std::time; fn f() { time::Instant::elapsed(); }",
        "names std::time::Instant::elapsed",
    );
    accepted(
        "api/mod.rs",
        "use kube::{CustomResource, core::Duration}; use std::time::Duration; use jiff::Timestamp;",
    );
}

#[test]
fn comments_strings_and_tests_are_not_looked_at() {
    accepted(
        "policy/meet.rs",
        "//! See crate::ses.\n// use crate::ses;\nconst X: &str = \"crate::ses::Plan\";",
    );
    accepted(
        "policy/meet.rs",
        "#[cfg(test)] mod tests { use std::fs; use crate::ses::Plan; }",
    );
    accepted(
        "policy/meet.rs",
        "#[cfg(test)] mod tests; #[cfg(test)] use crate::{ses::Plan};",
    );
    refused(
        "policy/meet.rs",
        "#[cfg(test)] mod tests { use std::fs; } use crate::ses::Plan;",
        "names crate::ses",
    );
    assert!(rules::is_test("policy/meet/tests.rs") && rules::is_test("policy/tests/golden.rs"));
    assert!(!rules::is_test("policy/meet.rs"));
}

#[test]
fn a_file_that_is_no_rust_is_reported() {
    let refused = violations("policy/meet.rs", "fn f( {").unwrap_err();

    assert!(refused.starts_with("src/policy/meet.rs: "), "{refused}");
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
