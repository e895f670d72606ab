//! Distinguished names: the authority's, a template's, a Marble's.
//!
//! Written as Go writes them: one relative name per attribute type, several values of a type within it, PrintableString
//! where it suffices and UTF8String elsewhere.

use carrara_types::manifest::secret::SubjectTemplate;
use der::asn1::{Any, ObjectIdentifier, SetOfVec};
use der::{Tag, asn1::PrintableString};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

use super::template::object_identifier;
use super::unencodable;
use crate::error::Cause;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
const LOCALITY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.7");
const PROVINCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.8");
const STREET_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.9");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
const POSTAL_CODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.17");

/// A name that consists of a common name (L-11).
pub(crate) fn common_name(text: &str) -> Result<Name, Cause> {
    Ok(RdnSequence(vec![relative_name(COMMON_NAME, &[text])?]))
}

/// The subject that a template declares. A type that `ExtraNames` has too is taken from there.
pub(crate) fn from_template(subject: &SubjectTemplate, common_name: &str) -> Result<Name, Cause> {
    let mut extra = Vec::new();
    for (oid, value) in &subject.extra_names {
        extra.push((object_identifier(oid)?, value.as_str()));
    }
    let lists = [
        (COUNTRY, &subject.country),
        (ORGANIZATION, &subject.organization),
        (ORGANIZATIONAL_UNIT, &subject.organizational_unit),
        (LOCALITY, &subject.locality),
        (PROVINCE, &subject.province),
        (STREET_ADDRESS, &subject.street_address),
        (POSTAL_CODE, &subject.postal_code),
    ];
    let mut names = Vec::new();
    for (oid, values) in lists {
        if !values.is_empty() && !extra.iter().any(|(other, _)| *other == oid) {
            names.push(relative_name(oid, values)?);
        }
    }
    names.push(relative_name(COMMON_NAME, &[common_name])?);
    if !subject.serial_number.is_empty() {
        names.push(relative_name(SERIAL_NUMBER, &[&subject.serial_number])?);
    }
    for (oid, value) in extra {
        names.push(relative_name(oid, &[value])?);
    }
    Ok(RdnSequence(names))
}

/// A Marble's subject: the request's, with the UUID for common names and without organisations (G-41).
pub(crate) fn for_marble(requested: &Name, uuid: &str) -> Result<Name, Cause> {
    let mut names = Vec::new();
    for relative in &requested.0 {
        let kept: Vec<_> = relative
            .0
            .iter()
            .filter(|part| part.oid != COMMON_NAME && part.oid != ORGANIZATION)
            .cloned()
            .collect();
        if !kept.is_empty() {
            names.push(RelativeDistinguishedName(SetOfVec::try_from(kept).map_err(unencodable)?));
        }
    }
    names.push(relative_name(COMMON_NAME, &[uuid])?);
    Ok(RdnSequence(names))
}

fn relative_name(
    oid: ObjectIdentifier,
    values: &[impl AsRef<str>],
) -> Result<RelativeDistinguishedName, Cause> {
    let parts = values
        .iter()
        .map(|text| Ok(AttributeTypeAndValue { oid, value: directory_string(text.as_ref())? }))
        .collect::<Result<Vec<_>, Cause>>()?;
    SetOfVec::try_from(parts).map(RelativeDistinguishedName).map_err(unencodable)
}

fn directory_string(text: &str) -> Result<Any, Cause> {
    let tag = if PrintableString::new(text).is_ok() { Tag::PrintableString } else { Tag::Utf8String };
    Any::new(tag, text.as_bytes()).map_err(unencodable)
}

#[cfg(test)]
mod tests {
    use der::Tagged;

    use super::*;

    // L-11
    #[test]
    fn a_common_name_is_the_whole_subject() {
        assert_eq!(common_name("MarbleRun Coordinator").unwrap().to_string(), "CN=MarbleRun Coordinator");
    }

    #[test]
    fn values_that_printable_strings_cannot_hold_are_utf8() {
        assert_eq!(directory_string("Carrara 1").unwrap().tag(), Tag::PrintableString);
        assert_eq!(directory_string("a*b").unwrap().tag(), Tag::Utf8String);
        assert_eq!(directory_string("Z\u{fc}rich").unwrap().tag(), Tag::Utf8String);
    }

    #[test]
    fn a_template_names_everything_once_and_extra_names_win() {
        let subject = SubjectTemplate {
            country: vec!["CH".into()],
            organization: vec!["B".into(), "A".into()],
            serial_number: "7".into(),
            extra_names: vec![(vec![2, 5, 4, 6], "DE".into()), (vec![2, 5, 4, 12], "Dr".into())],
            ..SubjectTemplate::default()
        };
        let name = from_template(&subject, "cn").unwrap();
        assert_eq!(name.0.len(), 5);
        assert_eq!(name.to_string(), "TITLE=Dr,C=DE,SERIALNUMBER=7,CN=cn,O=A+O=B");
    }

    // G-41
    #[test]
    fn a_marble_keeps_its_subject_but_for_common_name_and_organisation() {
        let subject = SubjectTemplate {
            organization: vec!["Org".into()],
            organizational_unit: vec!["Unit".into()],
            ..SubjectTemplate::default()
        };
        let requested = from_template(&subject, "someone else").unwrap();
        assert_eq!(for_marble(&requested, "uuid").unwrap().to_string(), "CN=uuid,OU=Unit");
        assert_eq!(for_marble(&RdnSequence(Vec::new()), "uuid").unwrap().to_string(), "CN=uuid");
    }
}
