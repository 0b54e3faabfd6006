// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"errors"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// check fails for options that contradict one another, or that nobody would
// heed.
func (o Options) check() error {
	switch {
	case (o.ClientCert == "") != (o.ClientKey == ""):
		return errors.New("a client certificate and its key go together: only one is given")
	case (o.Username == "") != (o.Password == ""):
		return errors.New("a user name and a password go together: only one is given")
	case o.AuthFile != "" && o.Keychain != nil:
		return errors.New("credentials come from a file or from a keychain: both are given")
	case o.RetryPause < 0:
		return errors.New("the pause before a retry is negative")
	case (o.CAFile != "" || o.ClientCert != "") && o.Transport != nil && !isTransport(o.Transport):
		return errors.New("certificates are given, and a transport that does not take them")
	}
	return nil
}

// nameOptions returns how the library is to read the name of a registry.
func nameOptions(o Options) []name.Option {
	if o.Insecure || o.PlainHTTP {
		return []name.Option{name.Insecure} // http is allowed
	}
	return nil
}

// keychainOf returns where the credentials of a registry come from.
func keychainOf(reg name.Registry, o Options) (authn.Keychain, error) {
	keys := o.Keychain
	switch {
	case o.AuthFile != "":
		file, err := readAuthFile(o.AuthFile)
		if err != nil {
			return nil, err
		}
		keys = file
	case keys == nil:
		keys = authn.DefaultKeychain
	}
	if o.Username != "" {
		keys = ownKeychain{host: reg.RegistryStr(), config: authn.AuthConfig{Username: o.Username, Password: o.Password}, next: keys}
	}
	return keys, nil
}

// ownKeychain has the credentials of one registry, and asks another keychain for
// those of others.
type ownKeychain struct {
	host   string
	config authn.AuthConfig
	next   authn.Keychain
}

func (k ownKeychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	if target.RegistryStr() == k.host {
		return authn.FromConfig(k.config), nil
	}
	return k.next.Resolve(target)
}
