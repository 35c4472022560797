//! What keeps the operator from starting.

use std::process::Command;

#[test]
fn an_image_without_certificate_authorities_is_told_what_it_lacks() {
    let nowhere = tempfile::tempdir().unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_mail-policy-operator"))
        .arg("run")
        .env_clear()
        .env("SSL_CERT_FILE", nowhere.path().join("none"))
        .env("SSL_CERT_DIR", nowhere.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "{said}");
    assert!(said.contains("install ca-certificates"), "{said}");
}
