// Some actions are for office hours: {"actions": ["UpdateManifest"], "days": ["Mon", "Tue"], "from": 8, "to": 17}.
//
// from and to are hours of the day, to itself is outside; offset is what local time is ahead of UTC, in minutes. No rule of
// summer time. The time is the host's: see README.md for whom this binds.
package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"carrara.dev/policy"
	"carrara.dev/policy/authorization"
)

func init() { authorization.Authorize(authorize, policy.CheckSettings(check)) }

// 1970-01-01 was a Thursday.
var weekdays = []string{"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"}

const minutesOfADay = 24 * 60

type settings struct {
	// Actions are for office hours only; everything is where empty.
	Actions []string `json:"actions"`
	// Days are working days, such as Mon.
	Days []string `json:"days"`
	// From is the first hour.
	From int64 `json:"from"`
	// To is the hour after the last.
	To int64 `json:"to"`
	// Offset is how many minutes local time is ahead of UTC.
	Offset int64 `json:"offset"`
}

// authorize decides a request.
func authorize(request authorization.Request) policy.Decision {
	settings, err := policy.SettingsOf[settings](request.Context)
	if err != nil {
		return policy.Failed(err)
	}
	is := func(action string) bool { return strings.EqualFold(action, request.Action) }
	concerned := len(settings.Actions) == 0 || slices.ContainsFunc(settings.Actions, is)
	if !concerned || settings.open(request.Context.Now) {
		return policy.Allow()
	}
	days := strings.Join(settings.Days, ", ")
	hint := fmt.Sprintf("%s from %d to %d o'clock", days, settings.From, settings.To)
	return policy.Deny("office-hours", request.Action+" is for office hours only").WithHint(hint)
}

func (s settings) open(now uint64) bool {
	// A week more: no number is negative.
	minutes := int64(now/60) + s.Offset + 7*minutesOfADay
	day, hour := weekdays[minutes/minutesOfADay%7], minutes%minutesOfADay/60
	return slices.Contains(s.Days, day) && s.From <= hour && hour < s.To
}

// check judges the settings.
func check(text string) (wrong []policy.SettingsError) {
	settings, err := policy.ReadSettings[settings](text)
	var unread policy.SettingsError
	if errors.As(err, &unread) {
		return []policy.SettingsError{unread}
	}
	refuse := func(message string) {
		wrong = append(wrong, policy.SettingsError{Line: 1, Column: 1, Message: message})
	}
	isNone := func(day string) bool { return !slices.Contains(weekdays, day) }
	if settings.Days == nil || slices.ContainsFunc(settings.Days, isNone) {
		refuse("days must be a list of Mon, Tue, Wed, Thu, Fri, Sat, Sun")
	}
	if settings.From < 0 || settings.From >= settings.To || settings.To > 24 {
		refuse("from must be less than to, both hours from 0 to 24")
	}
	if settings.Offset <= -minutesOfADay || settings.Offset >= minutesOfADay {
		refuse("offset must be less than a day, in minutes")
	}
	return wrong
}

func main() {}
