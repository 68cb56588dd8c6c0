//! Applies the compiled list to the parts of one request: resource by resource, scope by scope, span by span.
//!
//! It knows no operations. Each entry is tested and applied in the order of the list, on what the entries before it left.

use super::{
    draft::Draft,
    entry::{Entry, Level},
    strings::Texts,
};
use crate::{
    matching::Matcher,
    otlp,
    wire::{Detail, Fields, Prepend, ResourceView, ScopeView, SpanView, WireType},
};

/// Edits the parts of one request. Its scratch memory is kept from part to part, so nothing is allocated per span.
#[derive(Debug)]
pub struct Editing<'a> {
    entries: &'a [Entry],
    resource: Draft<'a>,
    /// Whether `resource` is one at all, and `held` and `resource` are about it.
    entered: bool,
    /// For each entry: whether its conditions on the resource held when its turn came.
    held: Vec<bool>,
    /// The entries that may apply to the spans of this scope.
    open: Vec<&'a Entry>,
    span: Draft<'a>,
    event: Draft<'a>,
    /// The entries that apply to the events of the span at hand.
    on_events: Vec<&'a Entry>,
    /// Keys of a resource, sorted.
    keys: Vec<&'a [u8]>,
    texts: Texts,
}

impl<'a> Editing<'a> {
    pub(super) fn new(entries: &'a [Entry]) -> Self {
        Self {
            entries,
            resource: Draft::new(Level::Resource.layout()),
            entered: false,
            held: Vec::with_capacity(entries.len()),
            open: Vec::with_capacity(entries.len()),
            span: Draft::new(Level::Span.layout()),
            event: Draft::new(Level::Event.layout()),
            on_events: Vec::with_capacity(entries.len()),
            keys: Vec::new(),
            texts: Texts::new(),
        }
    }

    /// The parts that follow have this resource. Whether the edits change it.
    pub fn enter_resource(&mut self, resource: ResourceView<'a>) -> bool {
        // Milvus' C++ part repeats its resource with every span.
        if self.entered && self.resource.original() == resource.message {
            return self.resource.is_changed();
        }
        self.entered = true;
        self.resource.begin(resource.message);
        self.texts.begin();
        self.held.clear();
        for entry in self.entries {
            let held = entry.matcher.as_ref().is_none_or(|matcher| {
                let message = self.resource.view();
                matcher.resource_holds(ResourceView { message })
            });
            if held && entry.on == Level::Resource {
                entry.apply(&mut self.resource, &mut self.texts);
            }
            self.held.push(held);
        }
        if self.resource.has_lost_keys() {
            self.drop_dangling_entities();
        }
        self.resource.is_changed()
    }

    /// Writes the resource entered last, edited: the message without its tag and length.
    pub fn write_resource(&mut self, out: &mut Prepend) {
        self.resource.write(out);
    }

    /// The spans that follow have this scope. Whether any edit may apply to them at all.
    pub fn enter_scope(&mut self, scope: ScopeView<'a>) -> bool {
        self.open.clear();
        for (entry, &held) in self.entries.iter().zip(&self.held) {
            let matcher = entry.matcher.as_ref();
            if held
                && entry.on != Level::Resource
                && matcher.is_none_or(|matcher| matcher.scope_holds(scope))
            {
                self.open.push(entry);
            }
        }
        !self.open.is_empty()
    }

    /// Writes a span edited, and with `trace_state` instead of its own where one is given: the message without its tag
    /// and length. Writes nothing and returns false when nothing changes.
    pub fn write_span(
        &mut self,
        span: SpanView<'a>,
        trace_state: Option<&[u8]>,
        out: &mut Prepend,
    ) -> bool {
        self.span.begin(span.message);
        self.texts.begin();
        self.on_events.clear();
        for index in 0..self.open.len() {
            let entry = self.open[index];
            if !self.span_holds(entry.matcher.as_ref(), span) {
                continue;
            }
            if entry.on == Level::Event {
                self.on_events.push(entry);
            } else {
                entry.apply(&mut self.span, &mut self.texts);
            }
        }
        if !self.on_events.is_empty() {
            self.edit_events();
        }
        if let Some(trace_state) = trace_state {
            self.span.set_field(otlp::span::TRACE_STATE, trace_state);
        }
        if self.span.is_changed() {
            self.span.write(out);
        }
        self.span.is_changed()
    }

    /// The scratch memory it holds.
    #[cfg(test)]
    pub(super) fn scratch_bytes(&self) -> usize {
        let drafts = [&self.resource, &self.span, &self.event];
        drafts.map(Draft::scratch_bytes).iter().sum::<usize>()
            + self.texts.scratch_bytes()
            + self.held.capacity()
            + self.open.capacity()
            + self.on_events.capacity()
            + self.keys.capacity()
    }

    fn span_holds(&mut self, matcher: Option<&Matcher>, span: SpanView<'a>) -> bool {
        let Some(matcher) = matcher else { return true };
        // Edits change attributes only: for other conditions the span as it came will do, and costs no copy.
        let message = if matcher.wanted().span_attributes == Detail::Nothing {
            span.message
        } else {
            self.span.view()
        };
        matcher.span_holds(SpanView { message, ..span })
    }

    fn edit_events(&mut self) {
        let mut from = 0;
        while let Some((index, event)) = self.span.next_nested(otlp::span::EVENTS, from) {
            from = index + 1;
            self.event.begin(event);
            for entry in &self.on_events {
                entry.apply(&mut self.event, &mut self.texts);
            }
            if self.event.is_changed() {
                self.span
                    .replace_nested(index, otlp::span::EVENTS, &self.event);
            }
        }
    }

    /// Removes every entity reference that names a key which the resource has no more: the keys named must exist. To
    /// rename them in it would be a guess, since which keys identify an entity follows from its type.
    fn drop_dangling_entities(&mut self) {
        let mut next = self.resource.next_nested(otlp::resource::ENTITY_REFS, 0);
        if next.is_none() {
            return;
        }
        self.keys.clear();
        self.keys.extend(self.resource.keys());
        self.keys.sort_unstable();
        while let Some((index, entity)) = next {
            if keys_named(entity).any(|key| self.keys.binary_search(&key).is_err()) {
                self.resource.remove_nested(index);
            }
            next = self
                .resource
                .next_nested(otlp::resource::ENTITY_REFS, index + 1);
        }
    }
}

/// The keys that an `EntityRef` names.
fn keys_named(entity: &[u8]) -> impl Iterator<Item = &[u8]> {
    Fields::of(entity)
        .readable()
        .filter(|field| {
            let names_key = field.number == otlp::entity_ref::ID_KEYS
                || field.number == otlp::entity_ref::DESCRIPTION_KEYS;
            names_key && field.wire_type == WireType::Len
        })
        .map(|field| field.value)
}
