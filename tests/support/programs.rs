//! Where the Kubernetes programs are.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::error::{Error, Result};

/// The folder with `etcd`, `kube-apiserver`, `kube-controller-manager` and `kubectl`, and perhaps what a node needs.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Asks `tests/controlplane/build`, which honours `KUBEBUILDER_ASSETS`, builds what its cache does not have and says
    /// on standard error what it builds. Ten minutes the first time, milliseconds from then on.
    ///
    /// `more` is what it is asked for beside them: nothing, or `node`.
    pub async fn locate(more: &[&str]) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/controlplane/build");
        let mut command = Command::new(&script);
        command.args(more).stdin(Stdio::null()).stderr(Stdio::inherit());
        let built = output(command).await.map_err(Error::io(script.display().to_string()))?;
        if !built.status.success() {
            return Err(Error::Build { status: built.status });
        }
        let folder = String::from_utf8_lossy(&built.stdout).trim_end().into();
        Ok(Self { folder })
    }

    /// Writes the part of the current kubeconfig that its context names into a file of its own.
    pub async fn flatten_kubeconfig(&self, file: &Path) -> Result<()> {
        let mut command = Command::new(self.path("kubectl"));
        command.args(["config", "view", "--minify", "--flatten", "--raw"]);
        let shown = output(command).await.map_err(Error::io("kubectl config view"))?;
        if !shown.status.success() {
            let said = String::from_utf8_lossy(&shown.stderr).into_owned();
            return Err(Error::io("the current kubeconfig")(io::Error::other(said)));
        }
        std::fs::write(file, shown.stdout).map_err(Error::io(file.display().to_string()))
    }

    /// The file of one program.
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}

/// A program of ours, built beside this one by the same profile: a binary, or `examples/NAME`.
pub fn ours(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().map_err(Error::io("this program's own path"))?;
    // An example and a test each stand in a folder of the profile's.
    let built = here.parent().and_then(Path::parent).map(|folder| folder.join(name));
    Ok(built.unwrap_or_default())
}

/// Runs a command to its end without holding up the runtime.
pub async fn output(mut command: Command) -> io::Result<Output> {
    tokio::task::spawn_blocking(move || command.output())
        .await
        .map_err(io::Error::other)?
}
