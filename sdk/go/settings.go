package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A SettingsError says what is wrong with the settings, and where.
type SettingsError struct {
	// Line counts from 1 in the settings' text (in the decoded text where the settings are a string).
	Line uint32
	// Column counts from 1, in characters.
	Column uint32
	// Message is for people.
	Message string
	// Hint is what to do; none where empty.
	Hint string
}

func (e SettingsError) Error() string {
	return fmt.Sprintf("settings, line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// SettingsOf reads the settings of a request into a type. Keys that the type does not know are errors. Absent settings give
// the zero value. An error is a [SettingsError].
func SettingsOf[T any](context Context) (T, error) { return ReadSettings[T](context.Settings) }

// ReadSettings reads the text of settings into a type, as [SettingsOf] does.
func ReadSettings[T any](text string) (T, error) {
	var settings T
	// The decoder below tells no place of a syntax error.
	var syntax json.RawMessage
	err := json.Unmarshal([]byte(text), &syntax)
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(&settings)
	}
	if err != nil {
		return settings, settingsError(text, err)
	}
	return settings, nil
}

func settingsError(text string, err error) SettingsError {
	message := strings.TrimPrefix(err.Error(), "json: ")
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return at(text, syntax.Offset, message)
	case errors.As(err, &wrongType):
		return at(text, wrongType.Offset, message)
	}
	return SettingsError{Line: 1, Column: 1, Message: message}
}

// at gives the place of the last of the first offset bytes.
func at(text string, offset int64, message string) SettingsError {
	before := text[:min(max(offset, 0), int64(len(text)))]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return SettingsError{
		Line:    uint32(strings.Count(before, "\n") + 1),
		Column:  uint32(max(utf8.RuneCountInString(line), 1)),
		Message: message,
	}
}

// Options are what a policy may have besides its function.
type Options struct {
	// Check judges the text of settings.
	Check func(settings string) []SettingsError
}

// An Option is given to the function of a world.
type Option func(*Options)

// CheckSettings makes a function judge the entry's Settings when a manifest is set. Without it there are no settings.
func CheckSettings(check func(settings string) []SettingsError) Option {
	return func(options *Options) { options.Check = check }
}

// SettingsAre makes T the type of the entry's Settings: others are refused when a manifest is set.
func SettingsAre[T any]() Option {
	return CheckSettings(func(text string) []SettingsError {
		var wrong SettingsError
		if _, err := ReadSettings[T](text); errors.As(err, &wrong) {
			return []SettingsError{wrong}
		}
		return nil
	})
}

// NoSettings is the check of a policy that has none: it takes null and an empty object only.
func NoSettings(text string) []SettingsError {
	settings, err := ReadSettings[map[string]any](text)
	if err == nil && len(settings) == 0 {
		return nil
	}
	return []SettingsError{{
		Line: 1, Column: 1, Message: "this policy has no settings",
		Hint: "remove Settings from this entry of Policies",
	}}
}
