//! The section `lifecycle`: how soon changes in the realm are noticed, and how many owners they may touch unasked.

use std::time::Duration;

use super::reader::{Key, Reader, Reason};

/// How soon changes in the realm are noticed, and how many owners they may touch unasked.
#[derive(Clone, Copy, Debug)]
pub struct Lifecycle {
    /// How often the realm's events are read, and its keys looked at, these every two seconds at most.
    pub poll_interval: Duration,
    /// How often everything is looked at: what has no event is noticed so.
    pub sweep_interval: Duration,
    /// Of so many owners tokens may end because of one sweep or event; of more, a person decides.
    pub brake: usize,
}

impl Lifecycle {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let poll_interval = reader.value(POLL_INTERVAL, |text| parse(text, SHORTEST_POLL));
        let sweep_interval = reader.value(SWEEP_INTERVAL, |text| parse(text, SHORTEST_SWEEP));
        let brake = reader.value(BRAKE, |text| {
            text.parse::<u32>()
                .map_err(|_| "is no number, or too large")
                .map(|brake| brake as usize)
        });
        Some(Self { poll_interval: poll_interval?, sweep_interval: sweep_interval?, brake: brake? })
    }
}

const SHORTEST_POLL: Duration = Duration::from_millis(100);
const SHORTEST_SWEEP: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_hours(24);

fn parse(text: &str, shortest: Duration) -> Result<Duration, Reason> {
    let interval = humantime::parse_duration(text).map_err(|_| "is no duration")?;
    if (shortest..=LONGEST).contains(&interval) {
        Ok(interval)
    } else {
        Err("is too short or too long")
    }
}

const POLL_INTERVAL: Key = Key {
    name: "lifecycle.poll_interval",
    default: Some("1s"),
    allowed: "a duration from `100ms` to `24h`",
    meaning: "How often the realm's events are read.",
};
const SWEEP_INTERVAL: Key = Key {
    name: "lifecycle.sweep_interval",
    default: Some("10m"),
    allowed: "a duration from `10s` to `24h`",
    meaning: "How often everything is looked at, since not every change has an event.",
};
const BRAKE: Key = Key {
    name: "lifecycle.brake",
    default: Some("50"),
    allowed: "a whole number; `0`: each time a person decides",
    meaning: "Of so many owners tokens may end because of one sweep or event; of more they are suspended until \
              `hallpass admin tokens` confirms or releases them.",
};
