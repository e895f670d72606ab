package policy_test

import (
	"errors"
	"reflect"
	"testing"

	"carrara.dev/policy"
	"carrara.dev/policy/policytest"
)

func TestADenialCarriesHintAndResourcesAndAYesCarriesNothing(t *testing.T) {
	denied := policy.Deny("c", "m").WithHint("h").About("a", "b")
	denial, ok := denied.Denial()
	expected := policy.Denial{Code: "c", Message: "m", Hint: "h", Resources: []string{"a", "b"}}
	if !ok || denied.Allowed() || !reflect.DeepEqual(denial, expected) {
		t.Fatalf("%+v", denial)
	}
	allowed := policy.Allow().WithHint("h").About("a")
	if _, ok := allowed.Denial(); ok || !allowed.Allowed() {
		t.Fatal("a yes with a denial")
	}
	if (policy.Decision{}).Allowed() {
		t.Fatal("a decision that nobody made is a yes")
	}
}

func TestAnErrorDeniesWithoutItsTextWhichGoesToTheLog(t *testing.T) {
	var denial policy.Denial
	lines := policytest.Logged(func() { denial, _ = policy.Failed(errors.New("inner")).Denial() })
	if denial.Code != "policy-error" || denial.Message != "the policy failed" {
		t.Fatalf("%+v", denial)
	}
	if !reflect.DeepEqual(lines, []string{"WARN: the policy failed: inner"}) {
		t.Fatal(lines)
	}
}

func TestLinesOfTheLogAreKeptInOrderAndOnlyInside(t *testing.T) {
	policy.Warn("before")
	var inner []string
	outer := policytest.Logged(func() {
		policy.Debug("a")
		inner = policytest.Logged(func() { policy.Info("b") })
		policy.Warn("c")
	})
	if !reflect.DeepEqual(outer, []string{"DEBUG: a", "WARN: c"}) || !reflect.DeepEqual(inner, []string{"INFO: b"}) {
		t.Fatal(outer, inner)
	}
}

type days struct {
	Days uint32 `json:"days"`
}

func TestSettingsAreReadIntoAType(t *testing.T) {
	for text, expected := range map[string]days{`{"days":3}`: {3}, `{}`: {}, `null`: {}} {
		if found, err := policy.SettingsOf[days](policy.Context{Settings: text}); err != nil || found != expected {
			t.Errorf("%s: %v, %v", text, found, err)
		}
	}
}

func TestWrongSettingsAreRefusedAtTheirPlaceInCharacters(t *testing.T) {
	for text, place := range map[string][2]uint32{
		"{\n  \"days\": \"ä\"}": {2, 13},
		`{"ä": 1, "days": }`:    {1, 18},
		`{"daze":1}`:            {1, 1},
		``:                      {1, 1},
		`{"days":1} 2`:          {1, 12},
	} {
		_, err := policy.ReadSettings[days](text)
		var wrong policy.SettingsError
		if !errors.As(err, &wrong) || [2]uint32{wrong.Line, wrong.Column} != place || wrong.Message == "" {
			t.Errorf("%s: %v", text, err)
		}
		var options policy.Options
		policy.SettingsAre[days]()(&options)
		if found := options.Check(text); len(found) != 1 || found[0] != wrong {
			t.Errorf("%s: %v", text, found)
		}
	}
}

func TestAPolicyWithoutSettingsTakesNullAndAnEmptyObjectOnly(t *testing.T) {
	for _, text := range []string{"null", " null\n", "{}", "{ \r\n\t}"} {
		if wrong := policy.NoSettings(text); wrong != nil {
			t.Errorf("%s: %v", text, wrong)
		}
	}
	for _, text := range []string{`{"a":1}`, "{", "}", "[]", "0", `""`, "", "true"} {
		if wrong := policy.NoSettings(text); len(wrong) != 1 || wrong[0].Message != "this policy has no settings" {
			t.Errorf("%s: %v", text, wrong)
		}
	}
}

func TestFactsAreFoundByTheirNames(t *testing.T) {
	context := policy.Context{Facts: []policy.Fact{{Name: "n", Value: uint64(5)}, {Name: "t", Value: "x"}}}
	if number, ok := context.Number("n"); !ok || number != 5 {
		t.Error(number, ok)
	}
	for _, name := range []string{"t", "absent"} {
		if _, ok := context.Number(name); ok {
			t.Errorf("%s is a number", name)
		}
	}
	principal := policy.Principal{Roles: []policy.Role{{Name: "admin"}}}
	if context.Fact("absent") != nil || !principal.Holds("admin") || principal.Holds("reader") {
		t.Error("something is there that is not, or the other way round")
	}
}
