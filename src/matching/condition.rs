//! Single conditions: what each asks of a resource or of a span.
//!
//! Which of them have to hold together is the matcher's matter.

use super::Glob;
use crate::wire::{AnyValue, Attributes, ResourceView, SpanView};

/// A condition on a resource. The order is that of testing: cheap first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ResourceCondition {
    /// `service`: one of these matches `service.name`.
    Service(Vec<Glob>),
    /// One entry of `resource_attributes`.
    Attribute(AttributeCondition),
}

/// A condition on a span. The order is that of testing: cheap first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SpanCondition {
    /// `span`: one of these matches its name.
    Name(Vec<Glob>),
    /// `kind`: it is one of these.
    Kind(Codes),
    /// `duration_min`: at least so many nanoseconds.
    DurationMin(u64),
    /// `duration_max`: at most so many nanoseconds.
    DurationMax(u64),
    /// `status`: it is one of these.
    Status(Codes),
    /// One entry of `attributes`.
    Attribute(AttributeCondition),
}

/// A condition on an attribute: its value passes one of the tests. Values of no scalar type pass none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AttributeCondition {
    pub(super) key: Box<str>,
    pub(super) any_of: Vec<ValueTest>,
}

/// A test of an attribute's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ValueTest {
    /// It is a string that matches.
    Text(Glob),
    /// It is this boolean.
    Bool(bool),
    /// It is this whole number, as an integer or as a double.
    Whole(i64),
    /// It is the double with these bits, which is not the value of any integer.
    Double(u64),
}

/// A set of enum values below 8, such as span kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Codes(u8);

impl ResourceCondition {
    /// Whether it holds for a resource whose `service.name` is `service`.
    pub(super) fn holds(&self, resource: ResourceView<'_>, service: &[u8]) -> bool {
        match self {
            Self::Service(globs) => Glob::any_matches(globs, service),
            Self::Attribute(condition) => condition.holds(resource.attributes()),
        }
    }

    pub(super) fn reads_attributes(&self) -> bool {
        matches!(self, Self::Attribute(_))
    }
}

impl SpanCondition {
    pub(super) fn holds(&self, span: SpanView<'_>) -> bool {
        match self {
            Self::Name(globs) => Glob::any_matches(globs, span.name),
            Self::Kind(kinds) => kinds.contains(span.kind()),
            Self::DurationMin(nanos) => span.duration_nanos() >= *nanos,
            Self::DurationMax(nanos) => span.duration_nanos() <= *nanos,
            Self::Status(codes) => codes.contains(span.status_code()),
            Self::Attribute(condition) => condition.holds(span.attributes()),
        }
    }

    /// Its key in a `match`.
    pub(super) fn key(&self) -> &'static str {
        match self {
            Self::Name(_) => "span",
            Self::Kind(_) => "kind",
            Self::DurationMin(_) => "duration_min",
            Self::DurationMax(_) => "duration_max",
            Self::Status(_) => "status",
            Self::Attribute(_) => "attributes",
        }
    }

    pub(super) fn reads_attributes(&self) -> bool {
        matches!(self, Self::Attribute(_))
    }

    pub(super) fn reads_status(&self) -> bool {
        matches!(self, Self::Status(_))
    }
}

impl AttributeCondition {
    fn holds(&self, attributes: Attributes<'_>) -> bool {
        let Some(value) = attributes.get(&self.key) else {
            return false;
        };
        self.any_of.iter().any(|test| test.passes(value))
    }
}

impl ValueTest {
    /// Passed by numbers equal to this one.
    pub(super) fn number(number: f64) -> Self {
        /// The first whole number above those of 64 bits; exact, unlike the largest of them.
        const BEYOND_I64: f64 = 9_223_372_036_854_775_808.0;
        if number.fract() == 0.0 && (-BEYOND_I64..BEYOND_I64).contains(&number) {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within range")]
            let whole = number as i64;
            return Self::Whole(whole);
        }
        Self::Double(number.to_bits())
    }

    fn passes(&self, value: AnyValue<'_>) -> bool {
        match (self, value) {
            (Self::Text(glob), AnyValue::String(text)) => glob.matches(text),
            (Self::Bool(wanted), AnyValue::Bool(found)) => *wanted == found,
            (Self::Whole(wanted), AnyValue::Int(found)) => *wanted == found,
            (Self::Whole(_) | Self::Double(_), AnyValue::Double(found)) => {
                *self == Self::number(found)
            }
            _ => false,
        }
    }
}

impl Codes {
    /// With this code, below 8, too.
    pub(super) fn with(self, code: u32) -> Self {
        Self(self.0 | 1_u8.checked_shl(code).unwrap_or(0))
    }

    fn contains(self, code: u64) -> bool {
        let bit = u32::try_from(code)
            .ok()
            .and_then(|code| 1_u8.checked_shl(code));
        self.0 & bit.unwrap_or(0) != 0
    }
}
