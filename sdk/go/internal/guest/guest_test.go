package guest

import (
	"strings"
	"testing"

	"carrara.dev/policy"
	"carrara.dev/policy/internal/lines"
)

func TestAPanicOfACheckRefusesTheSettingsAndIsLoggedWithItsPlace(t *testing.T) {
	Configure([]policy.Option{policy.CheckSettings(func(string) []policy.SettingsError { panic("it broke") })})
	var wrong []policy.SettingsError
	log := lines.Capture(func() { wrong = Check("null") })
	if len(wrong) != 1 || wrong[0].Message != "the policy failed" || wrong[0].Line != 1 {
		t.Fatal(wrong)
	}
	if len(log) != 1 || !strings.Contains(log[0], "WARN: the policy failed: panic: it broke (") ||
		!strings.Contains(log[0], "guest_test.go:") {
		t.Fatal(log)
	}
}

func TestWithoutACheckThereAreNoSettings(t *testing.T) {
	Configure(nil)
	if Check("null") != nil || len(Check(`{"a":1}`)) != 1 {
		t.Fatal("settings of a policy that has none")
	}
}
