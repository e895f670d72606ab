package contract

import (
	"encoding/hex"
	"fmt"
	"strings"

	"carrara.dev/policy"
)

// Text shows control characters as \x and two hex digits.
func Text(text string) string {
	var shown strings.Builder
	for _, character := range text {
		if character < ' ' || character == 0x7f {
			fmt.Fprintf(&shown, `\x%02x`, character)
		} else {
			shown.WriteRune(character)
		}
	}
	return "<" + shown.String() + ">"
}

// List is [a,b].
func List[T any](items []T, show func(T) string) string {
	shown := make([]string, len(items))
	for index, item := range items {
		shown[index] = show(item)
	}
	return "[" + strings.Join(shown, ",") + "]"
}

// Texts is a list of texts.
func Texts(texts []string) string { return List(texts, Text) }

// Option is none or some(...).
func Option[T any](item *T, show func(T) string) string {
	if item == nil {
		return "none"
	}
	return "some(" + show(*item) + ")"
}

// Number is decimal.
func Number(number uint64) string { return fmt.Sprint(number) }

// Hex is lower-case.
func Hex(bytes []byte) string { return hex.EncodeToString(bytes) }

// Value shows the value of a fact with its kind.
func Value(value any) string {
	switch value := value.(type) {
	case string:
		return "text" + Text(value)
	case uint64:
		return "number " + Number(value)
	case bool:
		return fmt.Sprint("truth ", value)
	case []byte:
		return "bytes " + Hex(value)
	case []string:
		return "texts" + Texts(value)
	}
	panic(fmt.Sprintf("a fact of type %T", value))
}

// Facts shows facts.
func Facts(facts []policy.Fact) string {
	return List(facts, func(fact policy.Fact) string { return Text(fact.Name) + "=" + Value(fact.Value) })
}

// Context shows a context.
func Context(context policy.Context) string {
	return fmt.Sprintf("settings%s now %d revision %d facts%s",
		Text(context.Settings), context.Now, context.Revision, Facts(context.Facts))
}

// Principal shows a principal.
func Principal(principal policy.Principal) string {
	roles := List(principal.Roles, func(role policy.Role) string {
		return strings.Join([]string{
			Text(role.Name), Text(role.ResourceType), Texts(role.ResourceNames), Texts(role.Actions),
		}, " ")
	})
	return strings.Join([]string{Text(principal.Name), Hex(principal.CertificateSHA256), roles}, " ")
}

// Decide is what authorizers and admitters do with the words that need no more than the context.
func Decide(context policy.Context, echo func() policy.Decision) policy.Decision {
	switch Word(context) {
	case "echo":
		return echo()
	case "plain", "several":
		return policy.Deny("plain", "plain")
	case "facts":
		return policy.Deny("facts", FactText(context))
	case "log":
		Log()
	case "count":
		return policy.Deny("count", fmt.Sprint(Count()))
	case "fail":
		panic(ErrBroke)
	case "error":
		return policy.Failed(ErrBroke)
	}
	return policy.Allow()
}
