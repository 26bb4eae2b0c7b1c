//! A class: its submissions, the rules by which they are graded, what they have in common, and their marks.

pub mod course;
pub mod grade;
pub mod similarity;
pub mod submission;
