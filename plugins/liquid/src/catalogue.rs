//! The objects that templates see: `Secrets`, `Previous.Secrets` and `MarbleRun`.
//!
//! A secret is looked up when the template names it, so the cost of a rendering does not grow with the number of
//! secrets unless the template itself loops over them.

use std::cell::{OnceCell, RefCell};
use std::fmt;

use carrara_plugin_support::secrets::Secrets;
use carrara_types::decision::{Part, Scope, SecretInfo};
use liquid::model::{DisplayCow, KStringCow, State, Value};
use liquid::{Object, ObjectView, ValueView};

use crate::mark::{Mark, Marks};

/// The template's data.
pub(crate) struct Root<'a> {
    folder: Folder<'a>,
    missing: std::rc::Rc<RefCell<Option<String>>>,
}

impl<'a> Root<'a> {
    pub(crate) fn new(secrets: &'a dyn Secrets, marks: &Marks) -> Self {
        let missing = std::rc::Rc::<RefCell<Option<String>>>::default();
        let scope = |scope| Catalogue {
            scope,
            secrets,
            marks: *marks,
            found: OnceCell::new(),
            missing: std::rc::Rc::clone(&missing),
        };
        let previous = Folder { marks: *marks, entries: vec![("Secrets", Box::new(scope(Scope::Previous)))] };
        let entries: Vec<(&'static str, Box<dyn ObjectView + 'a>)> = vec![
            ("Secrets", Box::new(scope(Scope::Current))),
            ("Previous", Box::new(previous)),
            ("MarbleRun", Box::new(scope(Scope::Reserved))),
        ];
        Self { folder: Folder { marks: *marks, entries }, missing }
    }

    /// The last name that was asked for and does not exist.
    pub(crate) fn missing(&self) -> Option<String> {
        self.missing.borrow().clone()
    }
}

/// Objects with fixed names.
struct Folder<'a> {
    marks: Marks,
    entries: Vec<(&'static str, Box<dyn ObjectView + 'a>)>,
}

/// The secrets of one scope.
struct Catalogue<'a> {
    scope: Scope,
    secrets: &'a dyn Secrets,
    marks: Marks,
    /// What was looked up, as a list that only grows: the engine keeps references into it.
    found: OnceCell<Box<Found>>,
    missing: std::rc::Rc<RefCell<Option<String>>>,
}

struct Found {
    name: String,
    value: Option<Value>,
    next: OnceCell<Box<Found>>,
}

impl Catalogue<'_> {
    fn find(&self, name: &str) -> Option<&Value> {
        let mut slot = &self.found;
        loop {
            let found = slot.get_or_init(|| {
                let info = self.secrets.lookup(self.scope, name);
                let value = info.map(|info| self.object(&info));
                Box::new(Found { name: name.to_owned(), value, next: OnceCell::new() })
            });
            if found.name == name {
                if found.value.is_none() {
                    self.missing.replace(Some(name.to_owned()));
                }
                return found.value.as_ref();
            }
            slot = &found.next;
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.secrets.names(self.scope);
        names.sort_unstable();
        names
    }

    /// A secret: what is declared about it, and marks for itself and its parts. Parts that are not set are nil.
    fn object(&self, info: &SecretInfo) -> Value {
        let mut object = self.marked(info, Part::Whole);
        for (field, part) in
            [("Cert", Part::Certificate), ("Public", Part::Public), ("Private", Part::Private)]
        {
            let set = info.parts.contains(&part);
            let value = if set { Value::Object(self.marked(info, part)) } else { Value::Nil };
            object.insert(field.into(), value);
        }
        object.insert("Type".into(), Value::scalar(info.kind.clone()));
        object.insert("Size".into(), Value::scalar(i64::from(info.size)));
        object.insert("Shared".into(), Value::scalar(info.shared));
        object.insert("UserDefined".into(), Value::scalar(info.user_defined));
        object.insert("ValidFor".into(), Value::scalar(i64::from(info.valid_for)));
        Value::Object(object)
    }

    /// An object that prints as a mark; `size` is one too, else the engine would count the fields.
    fn marked(&self, info: &SecretInfo, part: Part) -> Object {
        let mark = Mark { scope: self.scope, name: info.name.clone(), part, encoding: None };
        let text = self.marks.write(&mark);
        let mut object = Object::new();
        object.insert(self.marks.key().into(), Value::scalar(text.clone()));
        object.insert("size".into(), Value::scalar(text));
        object
    }
}

impl ObjectView for Catalogue<'_> {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        i64::try_from(self.secrets.names(self.scope).len()).unwrap_or(i64::MAX)
    }

    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        Box::new(self.names().into_iter().map(KStringCow::from_string))
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(self.iter().map(|(_, value)| value))
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        let names = self.names().into_iter();
        Box::new(names.filter_map(|name| {
            let value = self.find(&name)?;
            Some((KStringCow::from_string(name), value as &dyn ValueView))
        }))
    }

    fn contains_key(&self, index: &str) -> bool {
        self.find(index).is_some()
    }

    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        self.find(index).map(|value| value as &dyn ValueView)
    }
}

impl ObjectView for Folder<'_> {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        i64::try_from(self.entries.len()).unwrap_or(i64::MAX)
    }

    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        Box::new(self.entries.iter().map(|(name, _)| KStringCow::from_static(name)))
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(self.entries.iter().map(|(_, entry)| entry.as_value()))
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        Box::new(self.entries.iter().map(|(name, entry)| (KStringCow::from_static(name), entry.as_value())))
    }

    fn contains_key(&self, index: &str) -> bool {
        self.get(index).is_some()
    }

    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        self.entries.iter().find(|(name, _)| *name == index).map(|(_, entry)| entry.as_value())
    }
}

impl ObjectView for Root<'_> {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        self.folder.size()
    }

    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        self.folder.keys()
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        self.folder.values()
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        self.folder.iter()
    }

    fn contains_key(&self, index: &str) -> bool {
        self.folder.contains_key(index)
    }

    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        self.folder.get(index)
    }
}

/// Makes an object print, convert and show as the mark of many secrets.
macro_rules! prints_as_a_mark {
    ($type:ident, $($marks:ident).+) => {
        impl fmt::Debug for $type<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($type))
            }
        }

        impl ValueView for $type<'_> {
            fn as_debug(&self) -> &dyn fmt::Debug {
                self
            }

            fn render(&self) -> DisplayCow<'_> {
                DisplayCow::Owned(Box::new(self.$($marks).+.folder()))
            }

            fn source(&self) -> DisplayCow<'_> {
                self.render()
            }

            fn type_name(&self) -> &'static str {
                "secrets"
            }

            fn query_state(&self, state: State) -> bool {
                matches!(state, State::Truthy)
            }

            fn to_kstr(&self) -> KStringCow<'_> {
                KStringCow::from_string(self.$($marks).+.folder())
            }

            /// Loops and assignments take names with values, in order; whatever they hold is still marked.
            fn to_value(&self) -> Value {
                let pair = |(name, value): (KStringCow<'_>, &dyn ValueView)| {
                    Value::Array(vec![Value::scalar(name.into_owned()), value.to_value()])
                };
                Value::Array(self.iter().map(pair).collect())
            }

            fn as_object(&self) -> Option<&dyn ObjectView> {
                Some(self)
            }
        }
    };
}

prints_as_a_mark!(Root, folder.marks);
prints_as_a_mark!(Folder, marks);
prints_as_a_mark!(Catalogue, marks);
