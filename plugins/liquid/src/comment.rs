//! `{% comment %}`: what stands in it is passed over, not parsed.
//!
//! The engine's own block parses the blocks inside and ignores that they fail. One that has no end, such as half a block that
//! somebody commented out, has then eaten the comment's end and the end of the text, and the engine panics.

use std::io::Write;

use liquid_core::parser::BlockElement;
use liquid_core::{
    BlockReflection, Language, ParseBlock, Renderable, Result, Runtime, TagBlock, TagTokenIter,
};

/// The block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comment;

impl BlockReflection for Comment {
    fn start_tag(&self) -> &str {
        "comment"
    }

    fn end_tag(&self) -> &str {
        "endcomment"
    }

    fn description(&self) -> &str {
        "Is left out."
    }
}

impl ParseBlock for Comment {
    fn parse(
        &self,
        mut arguments: TagTokenIter<'_>,
        mut tokens: TagBlock<'_, '_>,
        language: &Language,
    ) -> Result<Box<dyn Renderable>> {
        arguments.expect_nothing()?;
        while let Some(element) = tokens.next()? {
            match element {
                // Comments nest, and the end of a comment in `raw` is none.
                BlockElement::Tag(tag) if matches!(tag.name(), "comment" | "raw") => {
                    tag.parse(&mut tokens, language)?;
                }
                _ => {}
            }
        }
        Ok(Box::new(*self))
    }

    fn reflection(&self) -> &dyn BlockReflection {
        self
    }
}

impl Renderable for Comment {
    fn render_to(&self, _: &mut dyn Write, _: &dyn Runtime) -> Result<()> {
        Ok(())
    }
}
