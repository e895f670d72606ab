//! Template text in Liquid.

pub(super) fn run(input: &[u8]) {
    super::templates::run(input, carrara_plugin_liquid::render);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "{{ Secrets.k.Private | base64 }}",
        "{{ Secrets.c.Cert | pem }}{{ Secrets.c.Private | pem }}",
        "{% for name in (1..3) %}{{ name }} {{ Secrets.k | hex }}{% endfor %}",
        "{% if Secrets.k %}a{% elsif Secrets.unset %}b{% else %}c{% endif %}",
        "{% assign x = Secrets.p | string %}{{ x }}{{ x | size }}",
        "{% capture y %}{{ MarbleRun.RootCA.Cert | pem }}{% endcapture %}{{ y }}",
        "{{ \"a,b\" | split: \",\" | join: \"-\" | upcase | append: Secrets.k }}",
        "{% case 1 %}{% when 1 %}{{ Previous.Secrets[\"my-key\"] | hex }}{% endcase %}",
        "{% comment %}{{ no }}{% endcomment %}{% raw %}{{ no }}{% endraw %}",
        "{% tablerow i in (1..4) cols:2 %}{{ i }}{% endtablerow %}{% cycle 'a', 'b' %}{% increment n %}",
        "{{ 'now' | date: '%Y' }}{{ 3 | divided_by: 0 }}",
        "text without anything",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
