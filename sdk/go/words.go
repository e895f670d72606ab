package policy

// A Fact is a named value. A policy ignores names that it does not know: later coordinators add some.
type Fact struct {
	// Name is such as secret-last-set:NAME.
	Name string
	// Value is a string, uint64, bool, []byte or []string.
	Value any
}

// A Context is what every question carries.
type Context struct {
	// Settings is the JSON text of the policy entry's Settings, null where absent. [SettingsOf] reads it into a type.
	Settings string
	// Now is in Unix seconds by the coordinator's clock, which its host can shift.
	Now uint64
	// Revision is that of the state that the question is asked about.
	Revision uint64
	// Facts are what else is known.
	Facts []Fact
}

// Fact gives the value of a fact, nil where it is absent.
//
// Known today: secret-last-set:NAME, the Unix seconds (a uint64) at which a user last set a secret.
func (c Context) Fact(name string) any {
	for _, fact := range c.Facts {
		if fact.Name == name {
			return fact.Value
		}
	}
	return nil
}

// Number gives the value of a fact that is a number.
func (c Context) Number(fact string) (number uint64, ok bool) {
	number, ok = c.Fact(fact).(uint64)
	return number, ok
}

// A Role is one of the manifest's that a principal holds.
type Role struct {
	// Name is the name in the manifest.
	Name string
	// ResourceType is Packages, Secrets or Manifest.
	ResourceType string
	// ResourceNames are what it is about.
	ResourceNames []string
	// Actions are what it allows.
	Actions []string
}

// A Principal is a user of the manifest, authenticated by the client certificate.
type Principal struct {
	// Name is the name in the manifest.
	Name string
	// CertificateSHA256 is the digest of the client certificate's DER.
	CertificateSHA256 []byte
	// Roles are in the manifest's order.
	Roles []Role
}

// Holds tells whether the user holds a role of that name.
func (p Principal) Holds(role string) bool {
	for _, held := range p.Roles {
		if held.Name == role {
			return true
		}
	}
	return false
}
