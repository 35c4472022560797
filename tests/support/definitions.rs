//! The definitions of our kinds, as a user installs them.

use std::path::Path;
use std::time::Duration;

use super::controlplane::ControlPlane;
use super::error::Result;
use super::wait::eventually;

/// Every kind of ours, as kubectl lists them.
const KINDS: &str = "sendingaccounts,mailguardrails,mailpolicies,mailwindows,mailsuppressions";

/// Until the kinds are served; it takes about a second.
const SERVED: Duration = Duration::from_secs(30);

impl ControlPlane {
    /// Applies `crds/` and returns when every kind is served. Once for each control plane, however often it is called.
    pub async fn apply_crds(&self) -> Result<()> {
        let applied = self.definitions.get_or_try_init(|| async {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
            self.kubectl(&["apply", "-k", &folder.display().to_string()]).await?;
            eventually(SERVED, "the kinds are served", async || {
                let listed = self.kubectl(&["get", KINDS, "--all-namespaces"]).await;
                listed.map_err(|error| error.to_string())
            })
            .await?;
            Ok(())
        });
        applied.await.copied()
    }
}
