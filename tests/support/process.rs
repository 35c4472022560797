//! Processes that never outlive the test process.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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
    /// Returns when the folder is gone; declared after its processes, it is dropped after them.
    fn drop(&mut self) {
        end(&mut self.sweeper);
    }
}

/// One program of the control plane. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    log: PathBuf,
    supervisor: Child,
}

impl Process {
    /// Starts `program` with its output in `folder/name.log` and with nothing of our environment but `PATH`: what a
    /// developer's shell says of AWS or of proxies must not change a test.
    pub fn start(folder: &Folder, name: &'static str, program: &Path, arguments: &[String]) -> Result<Self> {
        let supervisor = script(include_str!("supervise.sh"), "supervise")
            .arg(folder.path())
            .arg(name)
            .arg(program)
            .args(arguments)
            .current_dir(folder.path())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", folder.path())
            .spawn()
            .map_err(Error::io(format!("sh, for {name}")))?;
        Ok(Self {
            name,
            log: folder.path().join(format!("{name}.log")),
            supervisor,
        })
    }

    /// Fails when the program has ended by itself.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.supervisor.try_wait().map_err(Error::io(self.name))? {
            None => Ok(()),
            Some(status) => Err(Error::Exited {
                name: self.name,
                status,
                log: self.log_tail(),
            }),
        }
    }

    /// The program's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        tail(&self.log).unwrap_or_else(|refused| format!("({}: {refused})", self.log.display()))
    }
}

impl Drop for Process {
    /// Returns when the program is gone.
    fn drop(&mut self) {
        end(&mut self.supervisor);
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

/// Lets go of the lifeline and waits for the script's end. Nothing can be done about a failure while dropping, and the
/// script ends all the same.
fn end(script: &mut Child) {
    drop(script.stdin.take());
    let _ended = script.wait();
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
