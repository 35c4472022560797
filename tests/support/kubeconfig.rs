//! Kubeconfigs: who somebody is at the API server, as a file for kubectl and as a client for us.

use std::fs;
use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::error::{Error, Result};
use super::pki::Certified;

/// How somebody proves who they are.
pub enum Credential {
    /// A client certificate.
    Certificate(Certified),
    /// A service account's token.
    Token(String),
}

impl Credential {
    fn user(&self) -> Value {
        let base64 = |pem: &str| data_encoding::BASE64.encode(pem.as_bytes());
        match self {
            Self::Certificate(Certified { certificate, key }) => {
                json!({"client-certificate-data": base64(certificate), "client-key-data": base64(key)})
            }
            Self::Token(token) => json!({"token": token}),
        }
    }
}

/// Writes a kubeconfig (in JSON, which is YAML too) with `namespace` as the default one.
pub fn write(path: &Path, server: &str, authority: &str, credential: &Credential, namespace: &str) -> Result<()> {
    let authority = data_encoding::BASE64.encode(authority.as_bytes());
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": "user", "user": credential.user()}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user", "namespace": namespace}}],
        "current-context": "test",
    });
    fs::write(path, format!("{kubeconfig:#}\n")).map_err(Error::io(path.display().to_string()))
}

/// A client for the user of a kubeconfig. It belongs to the runtime that calls this.
pub async fn client(path: &Path) -> Result<kube::Client> {
    let refused = |message: String| Error::Kubeconfig {
        path: path.to_path_buf(),
        message,
    };
    let read = Kubeconfig::read_from(path).map_err(|error| refused(error.to_string()))?;
    let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
        .await
        .map_err(|error| refused(error.to_string()))?;
    kube::Client::try_from(config).map_err(|error| refused(error.to_string()))
}
