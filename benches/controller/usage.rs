//! What a process has used, from /proc.

use std::fs;

use crate::Result;

/// Clock ticks in a second as /proc counts them: `USER_HZ`, 100 on every architecture that Linux has today.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used since its start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time in seconds, all threads.
    pub(crate) cpu: f64,
    /// The most memory that was resident at once, in MiB.
    pub(crate) peak: f64,
    /// The memory that is resident now, in MiB.
    pub(crate) resident: f64,
}

impl Usage {
    /// What the process has used until now.
    pub(crate) fn of(process: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        Ok(Self {
            cpu: cpu_seconds(&stat).ok_or("/proc/PID/stat has no times")?,
            peak: mebibytes(&status, "VmHWM:").ok_or("/proc/PID/status has no VmHWM")?,
            resident: mebibytes(&status, "VmRSS:").ok_or("/proc/PID/status has no VmRSS")?,
        })
    }
}

/// Fields 14 and 15, counted after the command's name, which may hold blanks.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks: Vec<f64> = times.map(|ticks| ticks.parse().ok()).collect::<Option<_>>()?;
    (ticks.len() == 2).then(|| ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

fn mebibytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}
