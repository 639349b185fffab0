//! The processor time that processes used, and their memory, as Linux has it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// These processes and all that they started.
pub fn family(roots: &[u32]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Who is gone in the meantime used nothing.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        children.entry(parent.unwrap().parse().unwrap()).or_default().push(id);
    }
    let mut family = roots.to_vec();
    let mut next = 0;
    while let Some(id) = family.get(next) {
        family.extend(children.remove(id).unwrap_or_default());
        next += 1;
    }
    family
}

/// What these processes and all that they started have used, in user and system time.
pub fn used_by(roots: &[u32]) -> Duration {
    let nanoseconds = |task: &Path| -> u64 {
        let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0)
    };
    let of_process = |id: u32| -> u64 {
        let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
        tasks.map(|task| nanoseconds(&task.path())).sum()
    };
    Duration::from_nanos(family(roots).into_iter().map(of_process).sum())
}

/// What all processes have used since the machine's start, those that are gone too.
pub fn used_by_all() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let fields: Vec<u64> =
        stat.lines().next().unwrap().split_whitespace().skip(1).flat_map(str::parse).collect();
    // User, nice, system; idle and waiting; interrupts.
    let ticks = fields[0] + fields[1] + fields[2] + fields[5] + fields[6];
    Duration::from_millis(ticks * 10)
}

/// The memory that these processes hold, in MiB.
pub fn resident(roots: &[u32]) -> f64 {
    let of_process = |id: u32| -> f64 {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
    };
    family(roots).into_iter().map(of_process).sum::<f64>() / 1024.0
}

/// What this process has used.
pub fn used_by_this() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |field: usize| -> u64 { fields[field].parse().unwrap() };
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// How many processors there are.
pub fn processors() -> f64 {
    let number = std::thread::available_parallelism().unwrap().get();
    f64::from(u32::try_from(number).unwrap())
}
