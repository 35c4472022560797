//! Processes that never outlive the test process.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::error::{Error, Result};

/// How much of a log an error shows.
const LOG_TAIL: u64 = 4096;

/// A folder of its own under the system's temporary folder, removed when the last process in it is gone.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    sweeper: Child,
}

impl Folder {
    /// Makes the folder and starts the process that will remove it.
    pub fn create() -> Result<Self> {
        let made = tempfile::Builder::new()
            .prefix("mail-policy-")
            .tempdir()
            .map_err(Error::io("temporary folder"))?;
        let lock = made.path().join(".lock");
        fs::write(&lock, "").map_err(Error::io(lock.display().to_string()))?;
        let sweeper = script(include_str!("sweep.sh"), "sweep")
            .arg(made.path())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::io("sh"))?;
        Ok(Self {
            path: made.keep(),
            sweeper,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    /// Does not wait: a process that somebody still holds uses the folder, and holder and sweeper would wait for each
    /// other.
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
    }
}

/// A program with its data and log in a [`Folder`]. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    folder: PathBuf,
    supervisor: Child,
}

impl Process {
    /// Starts `program` with its output in `folder/name.log`, and with nothing of our environment but `PATH` beside
    /// `environment`: what a developer's shell says of AWS or of proxies must not change a test.
    pub fn start(
        folder: &Folder,
        name: &str,
        program: &Path,
        arguments: &[String],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let supervisor = script(include_str!("supervise.sh"), "supervise")
            .arg(folder.path())
            .arg(name)
            .arg(program)
            .args(arguments)
            .current_dir(folder.path())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", folder.path())
            .envs(environment.iter().copied())
            .spawn()
            .map_err(Error::io(format!("sh, for {name}")))?;
        Ok(Self {
            name: name.to_owned(),
            folder: folder.path().to_path_buf(),
            supervisor,
        })
    }

    /// The program's process id, which is there a moment after its start.
    pub fn id(&self) -> Result<u32> {
        let file = self.folder.join(format!("{}.pid", self.name));
        let what = || file.display().to_string();
        let text = fs::read_to_string(&file).map_err(Error::io(what()))?;
        text.trim_end()
            .parse()
            .map_err(|error| Error::io(what())(std::io::Error::other(error)))
    }

    /// Sends a signal by its name, `TERM` or `STOP`.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("kill")
            .args([format!("-{signal}"), self.id()?.to_string()])
            .status();
        let status = sent.map_err(Error::io("kill"))?;
        let refused =
            || Error::io(format!("kill -{signal}, for {}", self.name))(std::io::Error::other(status.to_string()));
        if status.success() { Ok(()) } else { Err(refused()) }
    }

    /// How the program ended, if it has; death by a signal is 128 and the signal, as in a shell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.supervisor.try_wait().map_err(Error::io(self.name.clone()))
    }

    /// Fails when the program has ended by itself.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => Err(Error::Exited {
                name: self.name.clone(),
                status,
                log: self.log_tail(),
            }),
        }
    }

    /// The name it was started with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file it writes to.
    pub fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    /// The last lines it wrote.
    pub fn log_tail(&self) -> String {
        tail(&self.log()).unwrap_or_else(|refused| format!("({}: {refused})", self.log().display()))
    }
}

impl Drop for Process {
    /// Returns when the program is gone. Nothing can be done about a failure here, and the supervisor ends all the same.
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ended = self.supervisor.wait();
    }
}

/// A command that runs one of the two scripts. Its standard input is the lifeline, whose other end only this process
/// has; a process group of its own, so that a Ctrl-C on the terminal reaches only us.
fn script(text: &str, name: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", text, name])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .process_group(0);
    command
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
