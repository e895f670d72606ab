//! Where things stand in a YAML text: what a finding's pointer names has a line and a column there, too.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// A line and a column, both from 1.
pub(crate) type Place = (u64, u64);

/// The places in a YAML text.
pub(crate) struct Marks(Spanned<Node>);

/// A node's members; scalars have none.
enum Node {
    Scalar,
    Mapping(Vec<(Spanned<String>, Spanned<Node>)>),
    Sequence(Vec<Spanned<Node>>),
}

impl Marks {
    /// The places in a text that was read before; `None` if they cannot be found out.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        serde_saphyr::from_slice(text).ok().map(Self)
    }

    /// Where a pointer (RFC 6901) into the manifest leads; its nearest ancestor where the text leaves something out.
    /// Field names are compared in either case (M-2) where none is written exactly so.
    pub(crate) fn locate(&self, pointer: &str) -> Place {
        let mut node = &self.0.value;
        let mut place = place(&self.0.referenced);
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let found = match node {
                Node::Scalar => None,
                Node::Mapping(members) => {
                    member(members, &token).map(|(key, value)| (self::place(&key.referenced), &value.value))
                }
                Node::Sequence(items) => token
                    .parse()
                    .ok()
                    .and_then(|index: usize| items.get(index))
                    .map(|item| (self::place(&item.referenced), &item.value)),
            };
            let Some((next_place, next)) = found else { break };
            (place, node) = (next_place, next);
        }
        place
    }
}

fn member<'a>(
    members: &'a [(Spanned<String>, Spanned<Node>)],
    name: &str,
) -> Option<&'a (Spanned<String>, Spanned<Node>)> {
    let exact = members.iter().find(|(key, _)| key.value == name);
    exact.or_else(|| members.iter().find(|(key, _)| key.value.eq_ignore_ascii_case(name)))
}

fn place(location: &Location) -> Place {
    (location.line().max(1), location.column().max(1))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML node")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Node::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Node::Mapping(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Packages:
  svc:
    SecurityVersion: 1
marbles:
  a/b: {Package: svc, Parameters: {Argv: [x, y]}}
  c:
    Parameters:
      Argv:
        - one
        - two
";

    #[test]
    fn a_pointer_leads_to_the_line_and_column_of_its_key() {
        let marks = Marks::read(TEXT.as_bytes()).unwrap();
        let cases = [
            ("", (1, 1)),
            ("/Packages", (1, 1)),
            ("/Packages/svc/SecurityVersion", (3, 5)),
            ("/Marbles/a~1b/Package", (5, 9)),
            ("/Marbles/c/Parameters/Argv/1", (10, 11)),
            // Left out: the nearest ancestor.
            ("/Packages/svc/UniqueID", (2, 3)),
            ("/Roles/x", (1, 1)),
        ];
        for (pointer, expected) in cases {
            assert_eq!(marks.locate(pointer), expected, "{pointer}");
        }
    }

    #[test]
    fn scalars_of_every_kind_are_passed_over() {
        let text = "a: [1, -1, 1.5, true, null, ~, text, 99999999999999999999999]\nb: |\n  x\n  y\nc: 1\n";
        let marks = Marks::read(text.as_bytes()).unwrap();
        assert_eq!(marks.locate("/c"), (5, 1));
    }
}
