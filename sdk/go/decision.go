package policy

import "carrara.dev/policy/internal/lines"

// PolicyError is the code of a denial that stands for an error inside the policy.
const PolicyError = "policy-error"

// What a caller learns of an error inside the policy.
const (
	PolicyErrorMessage = "the policy failed"
	PolicyErrorHint    = "the coordinator's log says why"
)

// A Denial says why something is refused.
type Denial struct {
	// Code is stable and short, for programs. At most 64 bytes.
	Code string
	// Message is for people; the caller sees it. At most 4096 bytes.
	Message string
	// Hint is what to do about it; none where empty.
	Hint string
	// Resources are what it is about.
	Resources []string
}

// A Decision is yes or no. Its zero value is a no without a reason, which the coordinator reports as the policy's failure.
type Decision struct {
	allowed bool
	denial  Denial
}

// Allow is yes.
func Allow() Decision { return Decision{allowed: true} }

// Deny is no: a code for programs and a message for people. Neither may hold secrets: the caller sees both.
func Deny(code, message string) Decision {
	return Decision{denial: Denial{Code: code, Message: message}}
}

// Failed is no because of an error inside the policy: its text goes to the coordinator's log, not to the caller.
func Failed(err error) Decision {
	LogFailure(err)
	return Deny(PolicyError, PolicyErrorMessage).WithHint(PolicyErrorHint)
}

// LogFailure writes the text of an error that the caller does not see.
func LogFailure(err error) { lines.Write(lines.Warn, "the policy failed: "+err.Error()) }

// WithHint adds what the caller can do about a denial. It changes no yes.
func (d Decision) WithHint(hint string) Decision {
	d.denial.Hint = hint
	return d
}

// About adds what a denial is about, such as names of secrets. It changes no yes.
func (d Decision) About(resources ...string) Decision {
	d.denial.Resources = append(append([]string(nil), d.denial.Resources...), resources...)
	return d
}

// Allowed tells whether it is a yes.
func (d Decision) Allowed() bool { return d.allowed }

// Denial gives the denial; ok is false where the decision is a yes.
func (d Decision) Denial() (denial Denial, ok bool) {
	if d.allowed {
		return Denial{}, false
	}
	return d.denial, true
}
