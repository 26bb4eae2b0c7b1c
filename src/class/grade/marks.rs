//! Turns verdicts into points.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Record, SectionResult, Status};
use crate::{
    class::course::{Course, Late, Rule},
    judge::Verdict,
};

/// A day in milliseconds, the resolution of times here.
const DAY: i128 = 86_400_000;

/// The marks of a submission.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Marks {
    /// The points, after the penalty for lateness.
    pub points: f64,
    /// The points if everything passes.
    pub of: f64,
    /// The share of each section that passes, from 0 to 1, in the course's order.
    pub shares: Vec<f64>,
    /// How late it came, if it did.
    pub late: Option<Lateness>,
}

/// How late a submission came, and the penalty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lateness {
    /// Days after the deadline; a part of a day counts as a whole one.
    pub days: i64,
    /// The percentage of the points taken off.
    pub percent: f64,
}

impl Marks {
    /// Computes the marks of a submission; `None` if the lab could not run.
    pub fn of(record: &Record, course: &Course) -> Option<Self> {
        if record.status == Status::Error {
            return None;
        }
        let judged = |rule: &Rule| record.sections.iter().find(|s| s.exercise == rule.template.exercise.id);
        let shares: Vec<f64> =
            course.sections.iter().map(|rule| judged(rule).map_or(0.0, |s| share(rule, s))).collect();
        let weights = sum(course.sections.iter().map(|rule| rule.weight));
        let reached = sum(course.sections.iter().zip(&shares).map(|(rule, share)| rule.weight * share));
        let late = course.deadline.zip(record.received).and_then(|(d, r)| lateness(d, r, course.late));
        let kept = late.map_or(1.0, |late| 1.0 - late.percent / 100.0);
        let points = if weights > 0.0 { course.points * reached / weights * kept } else { 0.0 };
        Some(Self { points: rounded(points), of: course.points, shares, late })
    }
}

/// Returns the share of a section that passes, from 0 to 1.
pub fn share(rule: &Rule, judged: &SectionResult) -> f64 {
    let passed = |id: &str| judged.checks.iter().any(|c| c.id == id && c.verdict == Verdict::Pass);
    let all = sum(rule.checks.values().copied());
    let right = sum(rule.checks.iter().filter(|(id, _)| passed(id)).map(|(_, weight)| *weight));
    if all > 0.0 { right / all } else { 0.0 }
}

fn lateness(deadline: Timestamp, received: Timestamp, cost: Option<Late>) -> Option<Lateness> {
    let late = received.duration_since(deadline);
    if late < SignedDuration::from_millis(1) {
        return None;
    }
    let days = (late.as_millis() - 1).div_euclid(DAY) + 1;
    let days = i64::try_from(days).unwrap_or(i64::MAX);
    let percent = cost
        .map_or(0.0, |cost| (cost.percent_per_day * days as f64).min(cost.percent_at_most.unwrap_or(100.0)));
    Some(Lateness { days, percent })
}

/// Adds up numbers. The standard library's sum of nothing is -0, which nobody wants to see as a mark.
fn sum(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(0.0, |sum, n| sum + n)
}

/// Rounds to hundredths, as marks are given.
pub fn rounded(points: f64) -> f64 {
    (points * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begun_is_a_day_late() {
        let deadline: Timestamp = "2026-12-01T23:59:00Z".parse().unwrap();
        let cost = Some(Late { percent_per_day: 10.0, percent_at_most: Some(25.0) });
        let late = |hours: i64| {
            let received = deadline + SignedDuration::from_hours(hours);
            lateness(deadline, received, cost).map(|late| (late.days, late.percent))
        };
        assert_eq!(late(-1), None);
        assert_eq!(late(0), None);
        assert_eq!(late(1), Some((1, 10.0)));
        assert_eq!(late(24), Some((1, 10.0)));
        assert_eq!(late(25), Some((2, 20.0)));
        assert_eq!(late(240), Some((10, 25.0)));
        let free = lateness(deadline, deadline + SignedDuration::from_secs(1), None);
        assert_eq!(free, Some(Lateness { days: 1, percent: 0.0 }));
    }
}
