// Never deployed. Who acts: the pipelines, the workspace, and CI, which GitHub vouches for. None has a secret.
param location string
param workspace string
param githubRepository string
param githubEnvironment string

// conf/azureml names this one: id-<workspace>.
resource pipelines 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-${workspace}'
  location: location
}

resource service 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-${workspace}-service'
  location: location
}

resource deployer 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-${workspace}-deployer'
  location: location
}

// Only jobs of the protected environment get this identity: what people approved there is what may submit here.
resource github 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: deployer
  name: 'github-${githubEnvironment}'
  properties: {
    issuer: 'https://token.actions.githubusercontent.com'
    subject: 'repo:${githubRepository}:environment:${githubEnvironment}'
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}

// The nightly trigger waits for nobody; restrict that environment to the main branch.
resource retrain 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: deployer
  name: 'github-${githubEnvironment}-retrain'
  properties: {
    issuer: 'https://token.actions.githubusercontent.com'
    subject: 'repo:${githubRepository}:environment:${githubEnvironment}-retrain'
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
  dependsOn: [
    github
  ]
}

output pipelinesIdentityId string = pipelines.id
output pipelinesPrincipalId string = pipelines.properties.principalId
output workspaceIdentityId string = service.id
output workspacePrincipalId string = service.properties.principalId
output deployerPrincipalId string = deployer.properties.principalId
output deployerClientId string = deployer.properties.clientId
