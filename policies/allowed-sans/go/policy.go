// Which DNS names and IP addresses a Marble may have certified: {"web": ["*.example.org", "10.0.0.7"], "*": []}.
//
// The keys are Marble types; * is for those that have no key, and without it they may have no names. *.example.org allows
// every name that ends with .example.org, whatever stands before.
package main

import (
	"slices"
	"strings"

	"carrara.dev/policy"
	"carrara.dev/policy/admission"
)

func init() { admission.Admit(admit, policy.SettingsAre[settings]()) }

type settings map[string][]string

// admit decides whether a Marble may start.
func admit(request admission.Request) policy.Decision {
	settings, err := policy.SettingsOf[settings](request.Context)
	if err != nil {
		return policy.Failed(err)
	}
	allowed, ok := settings[request.MarbleType]
	if !ok {
		allowed = settings["*"]
	}
	fits := func(name string) bool {
		return slices.ContainsFunc(allowed, func(pattern string) bool { return matches(pattern, name) })
	}
	refused := slices.DeleteFunc(slices.Concat(request.DNSNames, request.IPAddresses), fits)
	if len(refused) == 0 {
		return policy.Allow()
	}
	message := request.MarbleType + " may not be certified for " + strings.Join(refused, ", ")
	return policy.Deny("allowed-sans", message).About(refused...)
}

// matches: DNS names do not tell upper from lower case (RFC 4343).
func matches(pattern, name string) bool {
	pattern, name = strings.Map(lower, pattern), strings.Map(lower, name)
	if strings.HasPrefix(pattern, "*.") {
		return strings.HasSuffix(name, pattern[1:]) && len(name) >= len(pattern)
	}
	return pattern == name
}

// lower is for ASCII's letters only: there are others whose lower case is one of them.
func lower(character rune) rune {
	if 'A' <= character && character <= 'Z' {
		return character - 'A' + 'a'
	}
	return character
}

func main() {}
