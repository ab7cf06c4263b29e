//! How much memory there is, so that what can never fit is refused before it is asked for: an allocation that fails ends
//! the program without a word of what was wrong. And what becomes of memory that is freed.

use std::fs;
use std::path::Path;

use super::error::{Error, Result};

/// Refuses what takes at least so many `bytes` at once where this process can never have as many; `what` takes them, and
/// `remedy` says what to change.
///
/// # Errors
///
/// [`Error::input`] with both sizes.
pub fn require(bytes: f64, what: &str, remedy: &str) -> Result<()> {
    match most() {
        Some(most) if bytes > most as f64 => Err(Error::input(format!(
            "{what} at least {} of memory, and there are {}; {remedy}",
            in_units(bytes),
            in_units(most as f64)
        ))),
        _ => Ok(()),
    }
}

/// Lets the allocator keep up to 1 GiB of what is freed for what is asked for next. It would give every large tensor back
/// to the system, which clears its pages anew for the next: a fifth of a training step.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    {
        use std::ffi::c_int;
        const TRIM_THRESHOLD: c_int = -1;
        const MMAP_THRESHOLD: c_int = -3;
        const KEPT: c_int = 1 << 30;
        // Half of what one of glibc's heaps can hold: the most that its older versions take.
        const HALF_A_HEAP: c_int = 32 << 20;
        unsafe extern "C" {
            fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        // SAFETY: glibc's own function with parameters of its `malloc.h`; it refuses values that it does not take with 0,
        // and then leaves all as it was.
        unsafe {
            // The trim threshold alone would fix the other at 128 KiB.
            if mallopt(MMAP_THRESHOLD, KEPT) != 0 || mallopt(MMAP_THRESHOLD, HALF_A_HEAP) != 0 {
                mallopt(TRIM_THRESHOLD, KEPT);
            }
        }
    }
}

/// Memory that this process can have at most, bytes; none where the system does not tell. That there is less now does
/// not count: others may end.
fn most() -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| {
        let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
        of_system(&text, &groups, read)
    });
    let limit = rlimit::Resource::AS.get_soft().ok();
    [machine, limit].into_iter().flatten().min()
}

/// RAM, or what control groups leave of it, and swap, by the texts of `/proc/meminfo` and `/proc/self/cgroup`; `read`
/// gives other texts.
fn of_system(meminfo: &str, groups: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let of = |key: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
        let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        kibibytes.checked_mul(1024)
    };
    let mut ram = of("MemTotal:")?;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (root, file) = match parts.next() {
            Some("") => ("/sys/fs/cgroup", "memory.max"),
            Some("memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        // A group has what all those around it leave.
        let group = parts.next().unwrap_or_default().trim_start_matches('/');
        for group in Path::new(group).ancestors() {
            let text = read(&Path::new(root).join(group).join(file));
            let limit = text.and_then(|text| text.trim().parse().ok());
            ram = ram.min(limit.unwrap_or(u64::MAX));
        }
    }
    Some(ram.saturating_add(of("SwapTotal:").unwrap_or(0)))
}

/// A size for people.
fn in_units(bytes: f64) -> String {
    const UNITS: [&str; 7] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut size = bytes;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && size < 100.0);
    format!("{size:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_the_machine_and_the_groups_around_leave() {
        let meminfo = "MemTotal:       1000 kB\nMemFree:  7 kB\nSwapTotal:  24 kB\n";
        let of = |groups: &str| {
            of_system(meminfo, groups, |path| match path.to_str()? {
                "/sys/fs/cgroup/a/memory.max" => Some("512000\n".into()),
                "/sys/fs/cgroup/a/b/memory.max" => Some("max\n".into()),
                "/sys/fs/cgroup/memory/job/memory.limit_in_bytes" => {
                    Some("9223372036854771712".into())
                }
                _ => None,
            })
        };
        let swap = 24 << 10;
        assert_eq!(of("0::/"), Some((1000 << 10) + swap));
        assert_eq!(of("3:cpu:/x\n0::/a/b\n"), Some(512_000 + swap));
        assert_eq!(of("5:memory:/job\n"), Some((1000 << 10) + swap));
        assert_eq!(of_system("nothing", "", |_| None), None);
    }

    #[test]
    fn what_can_never_fit_is_refused_with_both_sizes() {
        require(1.0, "a byte takes", "").expect("a machine with a byte");
        let error = require(3.3e24, "`model` takes", "lower model.width").expect_err("too much");
        assert!(error.is_input());
        let text = error.to_string();
        assert!(
            text.starts_with("`model` takes at least 2862294 EiB of memory, and there are "),
            "{text}"
        );
        assert!(text.ends_with("; lower model.width"), "{text}");
        assert_eq!(
            (in_units(1023.0), in_units(1536.0)),
            ("1023 bytes".into(), "1.5 KiB".into())
        );
    }
}
