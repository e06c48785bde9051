//! Maintenance windows: days of the week, from a time to a time, on the site's clock.

use std::fmt;

use serde::Deserialize;

const MINUTES_OF_A_DAY: i64 = 24 * 60;

/// A time span on some days of the week.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, try_from = "Text")]
pub struct Window {
    /// The days on which it begins. If empty, it begins every day.
    days: Vec<Day>,
    /// Its first minute, counted from midnight.
    from: i64,
    /// The minute after its last; on the next day if it is not after `from`.
    to: i64,
}

/// A window as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    days: Vec<Day>,
    from: String,
    to: String,
}

/// The days of the week, counted from 1970-01-01, a Thursday.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Day {
    Thu,
    Fri,
    Sat,
    Sun,
    Mon,
    Tue,
    Wed,
}

impl TryFrom<Text> for Window {
    type Error = String;

    fn try_from(text: Text) -> Result<Self, String> {
        let (from, to) = (minute(&text.from)?, minute(&text.to)?);
        if from == to {
            let Text { from, to, .. } = text;
            return Err(format!(
                "a window from {from} to {to} is never open; for whole days, write 00:00 to 24:00"
            ));
        }
        Ok(Self { days: text.days, from, to })
    }
}

/// Parses a time such as `05:30`, or `24:00` for the end of a day, into minutes.
fn minute(text: &str) -> Result<i64, String> {
    let two_digits =
        |part: &str| (part.len() == 2).then(|| part.parse::<u8>().ok()).flatten().map(i64::from);
    let parts = text
        .split_once(':')
        .and_then(|(hours, minutes)| Some((two_digits(hours)?, two_digits(minutes)?)));
    match parts {
        Some((24, 0)) => Ok(MINUTES_OF_A_DAY),
        Some((hours @ 0..24, minutes @ 0..60)) => Ok(hours * 60 + minutes),
        _ => Err(format!("`{text}` is not a time such as `05:30`")),
    }
}

impl Window {
    /// Returns true if it is open at this time, in seconds of the site's clock since 1970-01-01.
    pub fn is_open(&self, local: i64) -> bool {
        let day = local.div_euclid(60 * MINUTES_OF_A_DAY);
        [day - 1, day]
            .into_iter()
            .any(|day| self.span(day).is_some_and(|(from, to)| (from..to).contains(&local)))
    }

    /// Returns the next time at which it opens, in seconds of the site's clock.
    pub fn opens_after(&self, local: i64) -> Option<i64> {
        let day = local.div_euclid(60 * MINUTES_OF_A_DAY);
        (day..=day + 7)
            .filter_map(|day| self.span(day))
            .map(|(from, _)| from)
            .find(|from| *from > local)
    }

    /// Returns its start and end in seconds if it begins on this day, counted from 1970-01-01.
    fn span(&self, day: i64) -> Option<(i64, i64)> {
        let begins = self.days.is_empty()
            || self.days.iter().any(|named| *named as i64 == day.rem_euclid(7));
        let to = if self.to > self.from { self.to } else { self.to + MINUTES_OF_A_DAY };
        let midnight = day * MINUTES_OF_A_DAY;
        begins.then_some(((midnight + self.from) * 60, (midnight + to) * 60))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for day in &self.days {
            write!(f, "{} ", format!("{day:?}").to_lowercase())?;
        }
        let Self { from, to, .. } = self;
        write!(f, "{:02}:{:02}–{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds from 1970-01-01 to a day of November 2026, in which the 1st is a Sunday.
    fn november(day: i64, hour: i64, minute: i64) -> i64 {
        ((20_758 + day - 1) * MINUTES_OF_A_DAY + hour * 60 + minute) * 60
    }

    fn window(json: &str) -> Window {
        guest::settings(json).unwrap()
    }

    #[test]
    fn it_is_open_from_its_first_minute_to_its_last() {
        let window = window(r#"{"days": ["sat", "sun"], "from": "01:00", "to": "05:00"}"#);
        assert!(!window.is_open(november(1, 0, 59)));
        assert!(window.is_open(november(1, 1, 0)));
        assert!(window.is_open(november(7, 4, 59)));
        assert!(!window.is_open(november(7, 5, 0)));
        assert!(!window.is_open(november(2, 2, 0)), "a Monday");
    }

    #[test]
    fn it_may_go_past_midnight() {
        let window = window(r#"{"days": ["fri"], "from": "22:00", "to": "02:00"}"#);
        assert!(window.is_open(november(6, 23, 0)));
        assert!(window.is_open(november(7, 1, 59)), "begun on Friday");
        assert!(!window.is_open(november(6, 1, 0)), "begun on Thursday");
    }

    #[test]
    fn it_may_last_whole_days() {
        let window = window(r#"{"days": ["sun"], "from": "00:00", "to": "24:00"}"#);
        assert!(window.is_open(november(1, 0, 0)) && window.is_open(november(1, 23, 59)));
        assert!(!window.is_open(november(2, 0, 0)));
    }

    #[test]
    fn it_knows_when_it_opens_next() {
        let window = window(r#"{"days": ["sun"], "from": "01:00", "to": "05:00"}"#);
        assert_eq!(window.opens_after(november(1, 0, 0)), Some(november(1, 1, 0)));
        assert_eq!(window.opens_after(november(1, 5, 0)), Some(november(8, 1, 0)));
        assert_eq!(window.opens_after(november(3, 12, 0)), Some(november(8, 1, 0)));
    }

    #[test]
    fn it_is_shown_as_it_was_written() {
        let shown =
            window(r#"{"days": ["sat", "sun"], "from": "01:00", "to": "05:30"}"#).to_string();
        assert_eq!(shown, "sat sun 01:00–05:30");
    }
}
