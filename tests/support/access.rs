//! What is done with a control plane: clients and kubeconfigs for whom it may concern, kubectl, namespaces.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

use super::controlplane::ControlPlane;
use super::error::{Error, Result};
use super::kubeconfig::{self, Credential};
use super::programs::output;

/// Longer than any test or bench runs.
const TOKEN_LIFE: Duration = Duration::from_hours(24);

impl ControlPlane {
    /// The kubeconfig of a cluster administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.admin
    }

    /// A client of a cluster administrator.
    pub async fn client(&self) -> Result<kube::Client> {
        kubeconfig::client(&self.admin).await
    }

    /// Writes a kubeconfig for a person, perhaps of a group, who may do what RBAC grants them.
    pub fn kubeconfig_of_user(&self, user: &str, group: Option<&str>) -> Result<PathBuf> {
        let credential = Credential::Certificate(self.pki.client(user, group)?);
        self.write_kubeconfig(&credential, "default")
    }

    /// Writes a kubeconfig for a service account that exists, with a token as a pod of it would have.
    pub async fn kubeconfig_of_service_account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: i64::try_from(TOKEN_LIFE.as_secs()).ok(),
                ..Default::default()
            },
            ..Default::default()
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let issued = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .map_err(Error::api(format!("token of service account {namespace}/{name}")))?;
        let token = issued
            .status
            .ok_or_else(|| Error::NoToken {
                account: format!("{namespace}/{name}"),
            })?
            .token;
        self.write_kubeconfig(&Credential::Token(token), namespace)
    }

    /// A client of a service account that exists: it may do what RBAC grants the service account and nothing else.
    pub async fn client_of_service_account(&self, namespace: &str, name: &str) -> Result<kube::Client> {
        kubeconfig::client(&self.kubeconfig_of_service_account(namespace, name).await?).await
    }

    /// Makes a namespace nobody else has, named `prefix-<process>-<number>`, with labels, and returns its name.
    pub async fn create_namespace(&self, prefix: &str, labels: &[(&str, &str)]) -> Result<String> {
        let name = format!("{prefix}-{}-{}", std::process::id(), self.next_number());
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some(labels),
                ..Default::default()
            },
            ..Default::default()
        };
        let namespaces: Api<Namespace> = Api::all(self.client().await?);
        let created = namespaces.create(&PostParams::default(), &namespace).await;
        created.map_err(Error::api(format!("namespace {name}")))?;
        Ok(name)
    }

    /// Runs kubectl as administrator and returns what it printed.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_as(&self.admin, arguments).await
    }

    /// Runs kubectl as the user of a kubeconfig and returns what it printed.
    pub async fn kubectl_as(&self, kubeconfig: &Path, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.programs.path("kubectl"));
        command
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", self.folder())
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null());
        let done = output(command).await.map_err(Error::io("kubectl"))?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        Err(Error::Kubectl {
            arguments: arguments.join(" "),
            status: done.status,
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        })
    }

    /// Applies a file or a folder of manifests by `kubectl apply`, as a user would, and returns what it printed.
    pub async fn apply(&self, manifests: &Path) -> Result<String> {
        self.kubectl(&["apply", "-f", &manifests.display().to_string()]).await
    }

    /// Applies the text of one or more manifests.
    pub async fn apply_yaml(&self, manifests: &str) -> Result<String> {
        let file = self.folder().join(format!("apply-{}.yaml", self.next_number()));
        std::fs::write(&file, manifests).map_err(Error::io(file.display().to_string()))?;
        self.apply(&file).await
    }

    pub(super) fn write_admin_kubeconfig(&self) -> Result<()> {
        let credential = Credential::Certificate(self.pki.client("admin", Some("system:masters"))?);
        kubeconfig::write(
            &self.admin,
            &self.server(),
            &self.pki.authority_pem(),
            &credential,
            "default",
        )
    }

    fn write_kubeconfig(&self, credential: &Credential, namespace: &str) -> Result<PathBuf> {
        // A number, because a user's name (`system:serviceaccount:…`, or worse) makes no file name.
        let path = self.folder().join(format!("{}.kubeconfig", self.next_number()));
        kubeconfig::write(&path, &self.server(), &self.pki.authority_pem(), credential, namespace)?;
        Ok(path)
    }

    fn next_number(&self) -> u32 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }
}
