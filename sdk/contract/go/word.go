// Package contract is what the contract policies of all worlds share: the word of the settings, the echo text (see ../README.md).
package contract

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"carrara.dev/policy"
)

// ErrBroke is the error that nobody catches.
var ErrBroke = errors.New("contract: it broke ✓")

var words = []string{"echo", "allow", "plain", "several", "facts", "log", "count", "fail", "error"}

var counter int

// Count adds one to a counter of this instance.
func Count() int {
	counter++
	return counter
}

// Log writes a line at each level.
func Log() {
	policy.Debug("a debug line")
	policy.Info("an info line")
	policy.Warn("a warning ✓")
}

// Word is what a request's settings say.
func Word(context policy.Context) string {
	settings, err := policy.SettingsOf[any](context)
	if err != nil {
		panic(err)
	}
	switch settings := settings.(type) {
	case nil:
		return "echo"
	case string:
		fields := strings.Fields(settings)
		return fields[len(fields)-1]
	case map[string]any:
		if word, ok := settings["do"].(string); ok {
			return word
		}
		return "echo"
	}
	panic("no word")
}

// Check judges settings.
func Check(text string) []policy.SettingsError {
	settings, err := policy.ReadSettings[any](text)
	var wrong policy.SettingsError
	if errors.As(err, &wrong) {
		return []policy.SettingsError{wrong}
	}
	switch settings := settings.(type) {
	case nil:
		return nil
	case string:
		return lines(settings)
	case map[string]any:
		return object(settings)
	}
	return []policy.SettingsError{{
		Line: 1, Column: 1, Message: "Settings must be a text or an object", Hint: `write "echo"`,
	}}
}

func lines(text string) (wrong []policy.SettingsError) {
	for number, line := range strings.Split(text, "\n") {
		word := strings.TrimSpace(line)
		if word == "refuse" {
			panic("contract: the check broke")
		}
		if word != "" && !slices.Contains(words, word) {
			column := utf8.RuneCountInString(line[:strings.Index(line, word)]) + 1
			wrong = append(wrong, policy.SettingsError{
				Line: uint32(number + 1), Column: uint32(column), Message: "unknown word: " + word,
			})
		}
	}
	return wrong
}

func object(settings map[string]any) (wrong []policy.SettingsError) {
	for key, value := range settings {
		word, _ := value.(string)
		if key != "do" {
			wrong = append(wrong, policy.SettingsError{
				Line: 1, Column: 1, Message: "unknown key: " + key, Hint: "the only key is do",
			})
		} else if !slices.Contains(words, word) {
			wrong = append(wrong, policy.SettingsError{Line: 1, Column: 1, Message: "do must be a word"})
		}
	}
	return wrong
}

// FactText is the message of the word facts.
func FactText(context policy.Context) string {
	value := context.Fact("secret-last-set:token")
	if value == nil {
		return "none"
	}
	return Value(value)
}
