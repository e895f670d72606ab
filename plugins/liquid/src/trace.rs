//! Tells where a template was when it failed. The engine does not say, so the template is rendered once more with a tag in
//! front of each element that notes its place. Only a template that has failed pays for it.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use carrara_plugin_support::secrets::Secrets;
use carrara_types::decision::Target;
use liquid::Error;
use liquid_core::{Language, ParseTag, Renderable, Result, Runtime, TagReflection, TagTokenIter};

use crate::catalogue::Root;
use crate::elements::elements;
use crate::failure;
use crate::filters;
use crate::mark::Marks;

/// No template has a tag of this name: the first rendering would not have known it.
const TAG: &str = "_place";

/// Where in `text` the engine fails: an offset in bytes. Nothing where it then fails otherwise or not at all.
pub(crate) fn failing(
    text: &str,
    target: Target,
    marks: &Marks,
    secrets: &dyn Secrets,
    error: &Error,
) -> Option<usize> {
    let place = Arc::new(AtomicUsize::new(usize::MAX));
    let builder = filters::builder(target, marks).tag(Place { place: Arc::clone(&place) });
    let template = builder.build().ok()?.parse(&marked(text)).ok()?;
    let again = template.render_to(&mut std::io::sink(), &Root::new(secrets, marks)).err()?;
    let offset = place.load(Ordering::Relaxed);
    let same = failure::of_engine(&again, marks) == failure::of_engine(error, marks);
    (same && offset <= text.len()).then_some(offset)
}

/// The template with a tag in front of every element that may have one.
fn marked(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut copied = 0;
    for element in elements(text).iter().filter(|element| element.starts_something()) {
        out.push_str(text.get(copied..element.start).unwrap_or_default());
        out.push_str(&format!("{{% {TAG} {} %}}", element.start));
        copied = element.start;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}

/// The tag, and what it renders to: nothing.
#[derive(Debug, Clone)]
struct Place {
    place: Arc<AtomicUsize>,
}

impl TagReflection for Place {
    fn tag(&self) -> &str {
        TAG
    }

    fn description(&self) -> &str {
        "Notes where the template is."
    }
}

impl ParseTag for Place {
    fn parse(&self, mut arguments: TagTokenIter<'_>, _: &Language) -> Result<Box<dyn Renderable>> {
        let offset = arguments.expect_next("an offset")?;
        let offset = offset.as_str().trim().parse().map_err(|_| Error::with_msg("no offset"))?;
        Ok(Box::new(At { place: Arc::clone(&self.place), offset }))
    }

    fn reflection(&self) -> &dyn TagReflection {
        self
    }
}

#[derive(Debug)]
struct At {
    place: Arc<AtomicUsize>,
    offset: usize,
}

impl Renderable for At {
    fn render_to(&self, _: &mut dyn Write, _: &dyn Runtime) -> Result<()> {
        self.place.store(self.offset, Ordering::Relaxed);
        Ok(())
    }
}
