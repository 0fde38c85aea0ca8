{{/* What all objects are called: the release, and the chart if the release does not say it. */}}
{{- define "kopf-workqueue.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change in the life of a release: a Deployment's selector cannot. */}}
{{- define "kopf-workqueue.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of the pod: an upgrade that changes nothing but the chart restarts nothing. */}}
{{- define "kopf-workqueue.pod-labels" -}}
{{ include "kopf-workqueue.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "kopf-workqueue.labels" -}}
{{ include "kopf-workqueue.pod-labels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "kopf-workqueue.account" -}}
{{- .Values.serviceAccount.name | default (include "kopf-workqueue.name" .) -}}
{{- end -}}

{{- define "kopf-workqueue.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The least rights for what is run, in each namespace that is served or everywhere. */}}
{{- define "kopf-workqueue.rules" -}}
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch{{ if not .Values.podTtl.dryRun }}, delete{{ end }}]
{{- if .Values.foos.enabled }}
- apiGroups: [samplecontroller.k8s.io]
  resources: [foos]
  verbs: [list, watch]
- apiGroups: [samplecontroller.k8s.io]
  resources: [foos/status]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch, create, update]
{{- end }}
{{- if or .Values.foos.enabled (not .Values.podTtl.dryRun) }}
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end }}
{{- end -}}
