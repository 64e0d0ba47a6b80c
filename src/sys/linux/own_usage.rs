//! What this process itself uses.

use std::time::Duration;

use rustix::param::page_size;
use rustix::time::{ClockId, clock_gettime};

/// The time that its threads have spent on processors so far. What it started does not count.
#[must_use]
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds)
        + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())
}

/// Bytes of memory that it has touched, pages of files included (proc(5), `statm`); 0 where that cannot be read.
#[must_use]
pub fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or_default() * page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_and_what_is_touched_counts() {
        // Others run beside this one, and may let go of as much meanwhile.
        let grown = (0..100).any(|_| {
            let (time, bytes) = (processor_time(), resident_bytes());
            let touched = vec![1_u8; 64 << 20];
            let sum: u64 = touched.iter().map(|byte| u64::from(*byte)).sum();
            assert_eq!(sum, 64 << 20);
            assert!(processor_time() > time);
            resident_bytes() > bytes + (32 << 20)
        });
        assert!(grown);
    }
}
