//! A class: what its students hand in, by which rules it is graded, what submissions have in common, and the marks.

pub mod course;
pub mod grade;
pub mod similarity;
pub mod submission;
