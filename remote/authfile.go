// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"fmt"
	"os"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// authFile is a config.json of docker's or an auth.json of podman's
// (containers-auth.json(5)).
type authFile struct {
	file string // its name
	conf *configfile.ConfigFile
}

func readAuthFile(file string) (*authFile, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	conf, err := config.LoadFromReader(f)
	if err != nil {
		return nil, fmt.Errorf("read the credentials in %s: %w", file, err)
	}
	return &authFile{file: file, conf: conf}, nil
}

// Resolve returns the credentials for the longest part of the repository's name
// that has some: podman has them by host/namespace/name, too. Where docker's
// library would take those of any namespace for the registry, this does not.
func (a *authFile) Resolve(target authn.Resource) (authn.Authenticator, error) {
	hosts := hostKeys(target.RegistryStr())
	path := strings.TrimPrefix(target.String(), target.RegistryStr())
	for ; path != ""; path = path[:strings.LastIndexByte(path, '/')] {
		for _, host := range hosts {
			if c, ok := a.stored(host + path); ok {
				return c, nil
			}
		}
	}
	for _, host := range hosts {
		if helper := a.conf.CredentialHelpers[host]; helper != "" {
			if c, err := a.ask(helper, host); c != nil || err != nil {
				return c, err
			}
		}
	}
	for _, host := range hosts {
		for _, key := range []string{host, "https://" + host, "http://" + host} {
			for _, end := range []string{"", "/", "/v1", "/v1/", "/v2", "/v2/"} {
				if c, ok := a.stored(key + end); ok {
					return c, nil
				}
			}
		}
	}
	if a.conf.CredentialsStore != "" {
		key := hosts[0]
		if target.RegistryStr() == name.DefaultRegistry {
			key = authn.DefaultAuthKey
		}
		if c, err := a.ask(a.conf.CredentialsStore, key); c != nil || err != nil {
			return c, err
		}
	}
	return authn.Anonymous, nil
}

// hostKeys returns the names of a registry in config files.
func hostKeys(registry string) []string {
	if registry == name.DefaultRegistry {
		return []string{"docker.io", name.DefaultRegistry, authn.DefaultAuthKey, "registry-1.docker.io"}
	}
	return []string{registry}
}

// stored returns the credentials that are in the file itself.
func (a *authFile) stored(key string) (authn.Authenticator, bool) {
	c := authenticator(a.conf.AuthConfigs[key])
	return c, c != nil
}

// ask returns the credentials that a helper program has; nil if it has none.
func (a *authFile) ask(helper, key string) (authn.Authenticator, error) {
	c, err := credentials.NewNativeStore(a.conf, helper).Get(key)
	if err != nil {
		return nil, fmt.Errorf("the credential helper %s that %s names: %w", helper, a.file, err)
	}
	return authenticator(c), nil
}

func authenticator(c types.AuthConfig) authn.Authenticator {
	config := authn.AuthConfig{
		Username: c.Username, Password: c.Password, Auth: c.Auth,
		IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken,
	}
	if config == (authn.AuthConfig{}) {
		return nil
	}
	return authn.FromConfig(config)
}
