//! Time: one source for the whole process, which tests can move.

use std::fmt;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The first and the last moment that RFC 3339 can say, in milliseconds: the years 0 to 9999.
const SAYABLE: (i64, i64) = (-62_167_219_200_000, 253_402_300_799_999);

/// A moment: milliseconds since the Unix epoch. As JSON it is RFC 3339 in UTC; what that cannot say is said as the
/// nearest moment that it can.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the Unix epoch; saturates at the ends of the range.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The same moment without its milliseconds: what a JWT's `iat` and `exp` can say.
    #[must_use]
    pub const fn floor_to_second(self) -> Self {
        Self::from_seconds(self.seconds())
    }

    /// This long after; saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This long before; saturates.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Parses RFC 3339 text, with any offset.
    pub fn parse(text: &str) -> Result<Self, time::error::Parse> {
        let moment = OffsetDateTime::parse(text, &Rfc3339)?;
        let millis = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        Ok(Self(i64::try_from(millis).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.clamp(SAYABLE.0, SAYABLE.1);
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
            .ok()
            .and_then(|moment| moment.format(&Rfc3339).ok())
            .ok_or(fmt::Error)?;
        f.write_str(&text)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({})", self.0)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The process's clock. Clones share the offset, so that a test moves the whole server at once.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_millis: Arc<AtomicI64>,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// The moment now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock's home")]
    pub fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Timestamp(millis.saturating_add(self.offset_millis.load(Ordering::Relaxed)))
    }

    /// How long this process has been running. It never goes back, whatever happens to the machine's date.
    #[must_use]
    pub fn passed(&self) -> Duration {
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        let moved = self.offset_millis.load(Ordering::Relaxed);
        BEGIN.elapsed() + Duration::from_millis(moved.unsigned_abs())
    }

    /// Moves this clock and all its clones forward.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.offset_millis.fetch_add(millis, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_what_it_writes() {
        let moment = Timestamp::from_millis(1_732_464_000_123);
        assert_eq!(moment.to_string(), "2024-11-24T16:00:00.123Z");
        assert_eq!(Timestamp::parse(&moment.to_string()).unwrap(), moment);
        assert_eq!(moment.floor_to_second().to_string(), "2024-11-24T16:00:00Z");
    }

    #[test]
    fn every_timestamp_can_be_said() {
        for (millis, text) in [
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "9999-12-31T23:59:59.999Z"),
            (i64::MIN, "0000-01-01T00:00:00Z"),
        ] {
            let moment = Timestamp::from_millis(millis);
            assert_eq!(moment.to_string(), text);
            assert_eq!(serde_json::to_value(moment).unwrap(), text);
        }
    }

    #[test]
    fn an_offset_is_taken_into_account() {
        let east = Timestamp::parse("2024-11-24T18:00:00+02:00").unwrap();
        assert_eq!(east, Timestamp::parse("2024-11-24T16:00:00Z").unwrap());
    }

    #[test]
    fn clones_of_a_clock_move_together() {
        let clock = Clock::system();
        let twin = clock.clone();
        let before = twin.now();
        clock.advance(Duration::from_hours(1));
        assert!(twin.now() >= before.plus(Duration::from_hours(1)));
        assert!(twin.passed() >= Duration::from_hours(1));
    }
}
